/**
 * Child process: the PKCS#11 calls of one operation and nothing else, again and again. What these calls cost is the limit of
 * what any service in front of such a token can reach.
 */
import { answer } from './child.ts'
import type { Operation } from './operations.ts'
import { RawSealing } from './raw-sealing.ts'
import { macStep, pairStep, signingSteps } from './raw-signing.ts'
import { createToken, removeOwnToken } from './tokens.ts'

/** Between two looks at the clock, in operations that take longest. */
const BATCH = 8

const token = createToken('bench raw')
const sealing = new RawSealing(token)

/** Each makes its keys when it is first asked for. */
const stepOf: Record<Operation, () => () => void> = {
  GenerateDataKey: () => () => sealing.generateDataKey(),
  Encrypt: () => () => sealing.encrypt(),
  Decrypt: () => () => sealing.decrypt(),
  ReEncrypt: () => () => sealing.reEncrypt(),
  'Sign:RSA_2048': () => signingSteps(token, 'Sign:RSA_2048').sign,
  'Sign:ECC_NIST_P256': () => signingSteps(token, 'Sign:ECC_NIST_P256').sign,
  'Verify:RSA_2048': () => signingSteps(token, 'Verify:RSA_2048').verify,
  'Verify:ECC_NIST_P256': () => signingSteps(token, 'Verify:ECC_NIST_P256').verify,
  'GenerateMac:HMAC_256': () => macStep(token),
  'GenerateDataKeyPair:ECC_NIST_P256': () => pairStep(token, sealing),
}
const steps = new Map<Operation, () => void>()

function prepared(operation: Operation): () => void {
  const step = steps.get(operation) ?? stepOf[operation]()
  steps.set(operation, step)
  return step
}

const answers = {
  prepare({ operation }: { operation: Operation }): void {
    prepared(operation)
  },

  /** From now on messages are sealed under so many keys in turn. */
  useKeys({ keys }: { keys: number }): void {
    sealing.useKeys(keys)
  },

  /** Repeats one operation for a time, without a pause. */
  run({ operation, seconds }: { operation: Operation; seconds: number }): { operations: number; seconds: number } {
    const step = prepared(operation)
    const startedAt = performance.now()
    const endsAt = startedAt + seconds * 1_000
    let operations = 0
    while (performance.now() < endsAt) {
      for (let count = 0; count < BATCH; count++) step()
      operations += BATCH
    }
    return { operations, seconds: (performance.now() - startedAt) / 1_000 }
  },
}
export type RawLoop = typeof answers

answer(answers, removeOwnToken)
