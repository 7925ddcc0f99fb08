/** The client's half of an import: from a key file to the bytes that ImportKeyMaterial takes (kms-api.md 10). */
import { constants, createCipheriv, createPrivateKey, createPublicKey, publicEncrypt, randomBytes } from 'node:crypto'
import { wipe } from '../base/bytes.ts'
import { IMPORTED_SECRET_BYTES, type WrappingAlgorithm, wrappingFacts } from '../model/imports.ts'
import { type KeySpec, specFacts } from '../model/key-specs.ts'
import { CommandFailed } from './admin-client.ts'

const AES_KEY_BYTES = 32
const RFC5649_IV = Buffer.from('a65959a6', 'hex')

/**
 * What is to be wrapped: a secret as it is, a private key as PKCS #8, whichever of PEM and DER it came in. The caller wipes
 * it. Throws {@link CommandFailed} for a file that does not hold a key of this spec.
 */
export function materialOf(spec: KeySpec, file: Buffer, passphrase: string | undefined): Buffer {
  const bounds = IMPORTED_SECRET_BYTES[spec]
  if (bounds !== undefined) {
    if (file.length >= bounds.min && file.length <= bounds.max) return file
    const wanted = bounds.min === bounds.max ? `${bounds.min}` : `${bounds.min} to ${bounds.max}`
    throw new CommandFailed(
      `the file has ${file.length} bytes; ${spec} takes ${wanted} raw bytes, without base64 and line end`,
    )
  }
  if (specFacts(spec).class !== 'asymmetric') throw new CommandFailed(`nothing is imported into a key of ${spec}`)
  return privateKeyOf(file, passphrase)
}

/** The algorithm that carries material of this spec whatever its length. */
export function usualAlgorithm(spec: KeySpec): WrappingAlgorithm {
  return specFacts(spec).class === 'asymmetric' ? 'RSA_AES_KEY_WRAP_SHA_256' : 'RSAES_OAEP_SHA_256'
}

/** `publicKey` is SubjectPublicKeyInfo. Throws {@link CommandFailed}. */
export function wrapMaterial(algorithm: WrappingAlgorithm, publicKey: Buffer, material: Buffer): Buffer {
  const facts = wrappingFacts(algorithm)
  if (facts === undefined) throw new CommandFailed(`nothing is wrapped by ${algorithm}`)
  const key = createPublicKey({ key: publicKey, format: 'der', type: 'spki' })
  const padding = { oaepHash: facts.hash, padding: constants.RSA_PKCS1_OAEP_PADDING }
  if (!facts.twoSteps) return publicEncrypt({ key, ...padding }, material)
  const aesKey = randomBytes(AES_KEY_BYTES)
  try {
    const cipher = createCipheriv('id-aes256-wrap-pad', aesKey, RFC5649_IV)
    return Buffer.concat([publicEncrypt({ key, ...padding }, aesKey), cipher.update(material), cipher.final()])
  } finally {
    wipe(aesKey)
  }
}

/** Whether a PEM file says that it is encrypted. */
export function wantsPassphrase(file: Buffer): boolean {
  return /-----BEGIN ENCRYPTED PRIVATE KEY-----|Proc-Type: 4,ENCRYPTED/.test(file.toString('latin1'))
}

function privateKeyOf(file: Buffer, passphrase: string | undefined): Buffer {
  const secret = passphrase === undefined ? {} : { passphrase }
  const forms = file.includes('-----BEGIN')
    ? [{ format: 'pem' as const }]
    : (['pkcs8', 'pkcs1', 'sec1'] as const).map(type => ({ format: 'der' as const, type }))
  for (const form of forms) {
    try {
      return createPrivateKey({ key: file, ...form, ...secret }).export({ type: 'pkcs8', format: 'der' })
    } catch {
      // The next form is tried.
    }
  }
  throw new CommandFailed('the file holds no private key that can be read: PEM or DER of PKCS #8, PKCS #1 or SEC 1')
}
