/** The client's half of an import, as a user of the API does it: with node:crypto alone. */
import { constants, createCipheriv, createPublicKey, type KeyObject, publicEncrypt, randomBytes } from 'node:crypto'
import type { AlgorithmSpec, GetParametersForImportResponse, ImportKeyMaterialRequest, KMS } from '@aws-sdk/client-kms'

const RFC5649_IV = Buffer.from('a65959a6', 'hex')

export const OAEP = ['RSAES_OAEP_SHA_1', 'RSAES_OAEP_SHA_256'] as const
export const TWO_STEPS = ['RSA_AES_KEY_WRAP_SHA_1', 'RSA_AES_KEY_WRAP_SHA_256'] as const

export function wrapMaterial(algorithm: AlgorithmSpec, spki: Uint8Array, material: Uint8Array): Buffer {
  const key = createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  const oaepHash = algorithm.endsWith('SHA_1') ? 'sha1' : 'sha256'
  const encrypt = (bytes: Uint8Array) =>
    publicEncrypt({ key, oaepHash, padding: constants.RSA_PKCS1_OAEP_PADDING }, bytes)
  if (algorithm.startsWith('RSAES')) return encrypt(material)
  const aes = randomBytes(32)
  const cipher = createCipheriv('id-aes256-wrap-pad', aes, RFC5649_IV)
  return Buffer.concat([encrypt(aes), cipher.update(material), cipher.final()])
}

export function pkcs8(key: KeyObject): Buffer {
  return key.export({ type: 'pkcs8', format: 'der' })
}

type Terms = Partial<Omit<ImportKeyMaterialRequest, 'KeyId' | 'ImportToken' | 'EncryptedKeyMaterial'>>

/** Material that does not expire, unless `terms` say otherwise. */
export async function importMaterial(
  kms: KMS,
  KeyId: string,
  material: Uint8Array,
  terms: Terms = {},
  algorithm: AlgorithmSpec = 'RSAES_OAEP_SHA_1',
  parameters?: GetParametersForImportResponse,
) {
  const { ImportToken, PublicKey } =
    parameters ??
    (await kms.getParametersForImport({ KeyId, WrappingAlgorithm: algorithm, WrappingKeySpec: 'RSA_2048' }))
  const forever = terms.ValidTo === undefined ? { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' as const } : {}
  const EncryptedKeyMaterial = wrapMaterial(algorithm, PublicKey!, material)
  return kms.importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ...forever, ...terms })
}
