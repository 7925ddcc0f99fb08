/** The implementations that the suite of the HSM contract runs on, and what of its expectations follows from the token. */
import { createCipheriv, createHmac } from 'node:crypto'
import { makeNssToken } from './nss.ts'
import { makeDomainOf, makeTokenDomain, type TokenDomain } from './tokens.ts'

export interface KeyNames {
  readonly kid: Buffer
  readonly mid: Buffer
}
type Purpose = 'data' | 'identity'

export interface HsmUnderTest {
  /** Tokens of one domain; the first is called `left`. */
  make(): Promise<TokenDomain>
  /** What its profile says. */
  readonly offers: { readonly wrapSchemes: readonly string[]; readonly kdfs: readonly string[] }
  readonly suite: number
  readonly kdf: string
  readonly tokenKeyType: string
  /** What the token is given to derive from (security.md 2.3), written out here once more. */
  derivationInput(purpose: Purpose, nonce: Buffer, key: KeyNames): Buffer
  /** The DEK, by node:crypto. */
  derive(hbk: Buffer, purpose: Purpose, nonce: Buffer, key: KeyNames): Buffer
}

const cbcInput: HsmUnderTest['derivationInput'] = (purpose, nonce) => {
  const [label, filler] = purpose === 'data' ? ['SRd1', 'strongroom:1'] : ['SRi1', 'strongroom:i']
  return Buffer.concat([Buffer.from(label), nonce, Buffer.from(filler)])
}

const counterInput: HsmUnderTest['derivationInput'] = (purpose, nonce, { kid, mid }) => {
  const label = purpose === 'data' ? 'strongroom/dek/1' : 'strongroom/identity/1'
  return Buffer.concat([Buffer.from(`\0\0\0\x01${label}\0`, 'latin1'), nonce, kid, mid, Buffer.of(0, 0, 1, 0)])
}

const softHsm: HsmUnderTest = {
  make: () => makeTokenDomain(['left', 'right']),
  offers: { wrapSchemes: ['RFC5649', 'RFC3394'], kdfs: ['AES-CBC-DATA'] },
  suite: 1,
  kdf: 'AES-CBC-DATA',
  tokenKeyType: 'AES',
  derivationInput: cbcInput,
  derive(hbk, purpose, nonce, key) {
    const cipher = createCipheriv('aes-256-cbc', hbk, Buffer.alloc(16)).setAutoPadding(false)
    return Buffer.concat([cipher.update(cbcInput(purpose, nonce, key)), cipher.final()])
  },
}

const nss: HsmUnderTest = {
  make: () => makeDomainOf(async folder => ({ locations: [makeNssToken(folder, 'left')] })),
  offers: { wrapSchemes: ['RFC5649', 'RFC3394'], kdfs: ['SP800-108-HMAC-SHA256', 'AES-CBC-DATA'] },
  suite: 2,
  kdf: 'SP800-108-HMAC-SHA256',
  tokenKeyType: 'GENERIC_SECRET',
  derivationInput: counterInput,
  derive: (hbk, purpose, nonce, key) =>
    createHmac('sha256', hbk)
      .update(counterInput(purpose, nonce, key))
      .digest(),
}

/** SoftHSM, unless the environment names another (hsm-nss.test.ts does). */
export const hsmUnderTest: HsmUnderTest = process.env.STRONGROOM_TEST_HSM === 'nss' ? nss : softHsm
