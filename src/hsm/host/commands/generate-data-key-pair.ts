import { createPrivateKey, type webcrypto } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { IV_BYTES, NONCE_BYTES } from '../../../formats/ciphertext.ts'
import { HsmFault } from '../../contract/fault.ts'
import { CKA_SEED, type Cryptoki, type ObjectHandle, type SessionHandle } from '../cryptoki.ts'
import { dataPairKindOf, generatePair, type PairKind, publicJwk, readAttribute, spkiOf } from '../key-pairs.ts'
import { type Handler, NO_BYTES } from './command.ts'

/** The pair comes from the token's generator, readable from birth, for it is the caller's and no key of ours. */
export const generateDataKeyPair: Handler<'generateDataKeyPair'> = (host, args) => {
  const { backingKeys, sealing, sessions, token, wipeLater } = host
  const { cryptoki } = token
  const hbk = backingKeys.forDerivation(args.ekt, 'data')
  const kind = dataPairKindOf(args.pairSpec)
  if (kind === undefined) throw new HsmFault('key', `no data key pair is made of ${args.pairSpec}`)
  const { publicKey, privateKey } = sessions.withSession(session => {
    const pair = generatePair(cryptoki, session, kind, { sensitive: false })
    try {
      const jwk = publicJwk(cryptoki, session, kind, pair.publicKey)
      const secret = { ...jwk, ...privateMembers(cryptoki, session, kind, pair.privateKey) }
      const pkcs8 = createPrivateKey({ key: secret, format: 'jwk' }).export({ type: 'pkcs8', format: 'der' })
      return { publicKey: spkiOf(jwk), privateKey: pkcs8 }
    } finally {
      cryptoki.C_DestroyObject(session, pair.privateKey)
      cryptoki.C_DestroyObject(session, pair.publicKey)
    }
  })
  wipeLater(privateKey)
  const blob = sealing.seal(hbk, privateKey, args.contextHash, sealing.random(NONCE_BYTES + IV_BYTES))
  return { publicKey, privateKey: args.plaintextWanted ? privateKey : NO_BYTES, blob }
}

const RSA_MEMBERS = {
  d: pkcs11.CKA_PRIVATE_EXPONENT,
  p: pkcs11.CKA_PRIME_1,
  q: pkcs11.CKA_PRIME_2,
  dp: pkcs11.CKA_EXPONENT_1,
  dq: pkcs11.CKA_EXPONENT_2,
  qi: pkcs11.CKA_COEFFICIENT,
} as const

function privateMembers(
  cryptoki: Cryptoki,
  session: SessionHandle,
  { tokenKeyType, lengthBytes }: PairKind,
  handle: ObjectHandle,
): webcrypto.JsonWebKey {
  const read = (type: number) => readAttribute(cryptoki, session, handle, type)
  if (tokenKeyType === 'RSA') {
    const members = Object.entries(RSA_MEMBERS).map(([name, type]) => [name, read(type).toString('base64url')])
    return Object.fromEntries(members) as webcrypto.JsonWebKey
  }
  // FIPS 203 section 7.1: the seed d + z, of which PKCS #8 is made in the form that RFC 9935 calls seed.
  if (tokenKeyType === 'ML_KEM') return { priv: read(CKA_SEED).toString('base64url') } as webcrypto.JsonWebKey
  // A token may drop leading zeros, or write one too many.
  const value = read(pkcs11.CKA_VALUE).subarray(-lengthBytes)
  const d = Buffer.alloc(lengthBytes)
  d.set(value, lengthBytes - value.length)
  return { d: d.toString('base64url') }
}
