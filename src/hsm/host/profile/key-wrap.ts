/** Key wrap by known answer: the token's wrap of a known key under a known key, against OpenSSL's; then back again. */
import { type CipherGCMTypes, createCipheriv } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { WRAP_CANDIDATES } from '../mechanisms.ts'
import { type Bench, secretKey, WrongAnswer } from './bench.ts'

export type KeyWrapScheme = keyof typeof WRAP_CANDIDATES
export type KeyWraps = ReadonlyMap<KeyWrapScheme, pkcs11.Mechanism>

const TEST_KEK = Buffer.alloc(32, 0x5a)
const TEST_KEY = Buffer.alloc(32, 0xa5)

/** OpenSSL's names, and the initial values of RFC 5649 section 3 (without the length) and RFC 3394 section 2.2.3.1. */
const references: Record<KeyWrapScheme, { readonly cipher: string; readonly iv: Buffer }> = {
  RFC5649: { cipher: 'id-aes256-wrap-pad', iv: Buffer.from('a65959a6', 'hex') },
  RFC3394: { cipher: 'id-aes256-wrap', iv: Buffer.alloc(8, 0xa6) },
}

/** The mechanism of each scheme that the token proves, best first. */
export function proveKeyWraps(bench: Bench): KeyWraps {
  const found = new Map<KeyWrapScheme, pkcs11.Mechanism>()
  for (const [name, candidates] of Object.entries(WRAP_CANDIDATES)) {
    const scheme = name as KeyWrapScheme
    const offered = candidates.filter(number => bench.offers(number, 'WRAP'))
    if (offered.length === 0) bench.skip(`key wrap ${scheme}`, 'no mechanism with the right to wrap')
    for (const number of offered) {
      const mechanism = { mechanism: number }
      const title = `key wrap ${scheme} as 0x${number.toString(16)}`
      const proven = bench.try(title, () => prove(bench, scheme, mechanism))
      if (proven !== undefined && !found.has(scheme)) found.set(scheme, mechanism)
    }
  }
  return found
}

/** What OpenSSL makes of `plaintext` under `kek`. */
export function wrapOutside(scheme: KeyWrapScheme, kek: Buffer, plaintext: Buffer): Buffer {
  const { cipher: name, iv } = references[scheme]
  const cipher = createCipheriv(name as CipherGCMTypes, kek, iv)
  return Buffer.concat([cipher.update(plaintext), cipher.final()])
}

function prove(bench: Bench, scheme: KeyWrapScheme, mechanism: pkcs11.Mechanism): true {
  const { cryptoki, session } = bench
  const kek = bench.importKey(pkcs11.CKK_AES, { WRAP: true, UNWRAP: true }, TEST_KEK)
  const key = bench.importKey(pkcs11.CKK_AES, { EXTRACTABLE: true }, TEST_KEY)
  const wrapped = cryptoki.C_WrapKey(session, mechanism, kek, key, Buffer.alloc(128))
  const expected = wrapOutside(scheme, TEST_KEK, TEST_KEY)
  if (!wrapped.equals(expected)) {
    throw new WrongAnswer(
      wrapped.length === expected.length
        ? `is not ${scheme}: other bytes`
        : `is not ${scheme}: ${wrapped.length} bytes for a key of 32, not ${expected.length}`,
    )
  }
  bench.keep(cryptoki.C_UnwrapKey(session, mechanism, kek, wrapped, secretKey(pkcs11.CKK_AES, {})))
  return true
}
