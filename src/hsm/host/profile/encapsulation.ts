/** By which ML-KEM keys a token decapsulates that it hands out wrapped and takes back. */
import { createPublicKey, encapsulate } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import type { PrivateKeyHome } from '../../contract/token-profile.ts'
import { ckrCode } from '../ckr.ts'
import { decapsulate } from '../decapsulation.ts'
import { generatePair, type Pair, type PairKind, pairKindOf, privateTemplate, publicJwk } from '../key-pairs.ts'
import { type Bench, WrongAnswer } from './bench.ts'

const WRAPPED_MAX_BYTES = 4_096
const CKR_HOST_MEMORY = 0x02
type MlKemSpec = 'ML_KEM_512' | 'ML_KEM_768' | 'ML_KEM_1024'
const MECHANISMS = ['CKM_ML_KEM_KEY_PAIR_GEN', 'CKM_ML_KEM']

/** Of each parameter set: OpenSSL encapsulates for a generated key; what was wrapped and unwrapped comes to the same secret. */
export function tryMlKem(bench: Bench, wrap: pkcs11.Mechanism | undefined): Record<MlKemSpec, PrivateKeyHome> {
  const homeOf = (spec: MlKemSpec): PrivateKeyHome => {
    const title = `${spec} wrapped and unwrapped, decapsulates`
    const missing = MECHANISMS.filter(name => !bench.lists(name))
    if (missing.length > 0) return bench.skip(title, `missing: ${missing.join(', ')}`) ?? 'none'
    if (wrap === undefined) return bench.skip(title, 'no RFC 5649') ?? 'none'
    return bench.try(title, () => proveMlKem(bench, spec, wrap)) ?? 'none'
  }
  return { ML_KEM_512: homeOf('ML_KEM_512'), ML_KEM_768: homeOf('ML_KEM_768'), ML_KEM_1024: homeOf('ML_KEM_1024') }
}

function proveMlKem(bench: Bench, spec: MlKemSpec, wrap: pkcs11.Mechanism): PrivateKeyHome {
  const { cryptoki, session } = bench
  const kind = pairKindOf(spec, 'ENCAPSULATE_DECAPSULATE') as PairKind
  const pair = generateKnown(bench, kind)
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

/** NSS says of a parameter set that it does not know that the host had no memory for it. */
function generateKnown({ cryptoki, session }: Bench, kind: PairKind): Pair {
  try {
    return generatePair(cryptoki, session, kind)
  } catch (error) {
    if (ckrCode(error) === CKR_HOST_MEMORY) throw new WrongAnswer('CKR_HOST_MEMORY: it does not know the parameter set')
    throw error
  }
}
