/** The vectors of Project Wycheproof in test/vectors/wycheproof, as its files have them. */
import { readFileSync } from 'node:fs'

export type WycheproofResult = 'valid' | 'invalid' | 'acceptable'

/** Bytes are in hexadecimal. */
export interface WycheproofTest {
  readonly tcId: number
  readonly result: WycheproofResult
  readonly key: string
  readonly msg: string
  readonly tag: string
  readonly sig: string
  readonly ct: string
  readonly label: string
  readonly private: string
  readonly public: string
  readonly shared: string
}

export interface WycheproofGroup {
  readonly tests: readonly WycheproofTest[]
  readonly keySize: number
  readonly tagSize: number
  readonly publicKeyDer: string
  readonly privateKeyPkcs8: string
}

export function wycheproof(name: string): readonly WycheproofGroup[] {
  const file = new URL(`../vectors/wycheproof/${name}_test.json`, import.meta.url)
  return (JSON.parse(readFileSync(file, 'utf8')) as { testGroups: WycheproofGroup[] }).testGroups
}

export const hex = (text: string) => Buffer.from(text, 'hex')
