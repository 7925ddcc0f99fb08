/** Whether a token decapsulates by ML-KEM keys that it hands out wrapped and takes back. */
import { createPublicKey, encapsulate } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import type { PrivateKeyHome } from '../../contract/token-profile.ts'
import { decapsulate } from '../decapsulation.ts'
import { generatePair, type PairKind, pairKindOf, privateTemplate, publicJwk } from '../key-pairs.ts'
import { type Bench, WrongAnswer } from './bench.ts'

const WRAPPED_MAX_BYTES = 4_096
const MECHANISMS = ['CKM_ML_KEM_KEY_PAIR_GEN', 'CKM_ML_KEM']

/** OpenSSL encapsulates for the generated key; what was wrapped and unwrapped again comes to the same secret. */
export function tryMlKem(bench: Bench, wrap: pkcs11.Mechanism | undefined): PrivateKeyHome {
  const title = 'ML-KEM-768 wrapped, unwrapped again, decapsulates'
  const missing = MECHANISMS.filter(name => !bench.lists(name))
  if (missing.length > 0) return bench.skip(title, `missing: ${missing.join(', ')}`) ?? 'none'
  if (wrap === undefined) return bench.skip(title, 'no RFC 5649') ?? 'none'
  return bench.try(title, () => proveMlKem(bench, wrap)) ?? 'none'
}

function proveMlKem(bench: Bench, wrap: pkcs11.Mechanism): PrivateKeyHome {
  const { cryptoki, session } = bench
  const kind = pairKindOf('ML_KEM_768', 'ENCAPSULATE_DECAPSULATE') as PairKind
  const pair = generatePair(cryptoki, session, kind)
  for (const handle of [pair.publicKey, pair.privateKey]) bench.keep(handle)
  const kek = bench.generateKey(pkcs11.CKK_AES, { WRAP: true, UNWRAP: true })
  const wrapped = cryptoki.C_WrapKey(session, wrap, kek, pair.privateKey, Buffer.alloc(WRAPPED_MAX_BYTES))
  const template = privateTemplate(kind, { extractable: false })
  const privateKey = bench.keep(cryptoki.C_UnwrapKey(session, wrap, kek, wrapped, template))
  const jwk = publicJwk(cryptoki, session, kind, pair.publicKey)
  const { sharedKey, ciphertext } = encapsulate(createPublicKey({ key: jwk, format: 'jwk' }))
  const secret = decapsulate(cryptoki, session, privateKey, Buffer.from(ciphertext))
  if (!secret.equals(Buffer.from(sharedKey))) throw new WrongAnswer('decapsulates to another secret')
  return 'ekt'
}
