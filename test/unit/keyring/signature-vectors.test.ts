/** Published signatures, good and bad, through the code that Verify runs outside the token: whole messages, public keys alone. */
import { expect, test } from '@jest/globals'
import { type CallHsm, KeyPairs } from '../../../src/keyring/key-pairs.ts'
import type { SigningAlgorithm } from '../../../src/model/algorithms.ts'
import type { KmsKey } from '../../../src/model/key.ts'
import { hex, wycheproof } from '../../support/wycheproof.ts'

/** Stands for the crypto world, which says that the public key is the one that the EKT's MAC covers. */
const vouch = (async () => ({ matches: true })) as unknown as CallHsm

let keys = 0

function keyOf(publicKey: Buffer): KmsKey {
  keys += 1
  const ekt = { digest: Buffer.from(`vector ${keys}`), record: Buffer.alloc(0) }
  const current = { id: '', state: 'CURRENT', createdAtMs: 0, ekt, publicKey }
  return { region: 'on-prem-1', arn: 'vector', materials: new Map([['', current]]), current } as unknown as KmsKey
}

test.each<[file: string, algorithm: SigningAlgorithm, atLeast: number]>([
  ['ecdsa_secp256r1_sha256', 'ECDSA_SHA_256', 400],
  ['rsa_pss_2048_sha256_mgf1_32', 'RSASSA_PSS_SHA_256', 100],
  ['rsa_signature_2048_sha256', 'RSASSA_PKCS1_V1_5_SHA_256', 250],
  ['ed25519', 'ED25519_SHA_512', 150],
])('%s', async (file, algorithm, atLeast) => {
  const pairs = new KeyPairs(vouch)
  const wrong: number[] = []
  let seen = 0
  for (const { publicKeyDer, tests } of wycheproof(file)) {
    const key = keyOf(hex(publicKeyDer))
    for (const { tcId, msg, sig, result } of tests) {
      const good = await pairs.verify(key, { algorithm, messageType: 'RAW', message: hex(msg) }, hex(sig))
      if (result !== 'acceptable' && good !== (result === 'valid')) wrong.push(tcId)
      seen += 1
    }
  }
  expect(wrong).toEqual([])
  expect(seen).toBeGreaterThanOrEqual(atLeast)
})
