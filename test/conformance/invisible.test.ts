/** A key of another account and one that is not there: one answer, DryRun too (security.md 6, test 25). */
import { expect, test } from '@jest/globals'
import { FULL, invisible, makeStranger } from './callers.ts'
import { encrypt, kms, makeKey, refusal, text } from './kms.ts'

const stranger = await makeStranger(FULL)
const foreign = await makeKey()
const absentId = '12345678-1234-4234-8234-123456789012'
const absent = foreign.arn.replace(foreign.id, absentId)
const alias = foreign.arn.replace(`key/${foreign.id}`, 'alias/nobody-has-this')
const CiphertextBlob = await encrypt(foreign)
const plain = { Plaintext: text('x') }
const granted = { GranteePrincipal: stranger.arn, Operations: ['Encrypt' as const] }

type Call = (KeyId: string, DryRun: boolean) => Promise<unknown>
const client = stranger.kms
const calls: Record<string, Call> = {
  Encrypt: (KeyId, DryRun) => client.encrypt({ KeyId, DryRun, ...plain }),
  Decrypt: (KeyId, DryRun) => client.decrypt({ KeyId, DryRun, CiphertextBlob }),
  GenerateDataKey: (KeyId, DryRun) => client.generateDataKey({ KeyId, DryRun, KeySpec: 'AES_256' }),
  CreateGrant: (KeyId, DryRun) => client.createGrant({ KeyId, DryRun, ...granted }),
  RevokeGrant: (KeyId, DryRun) => client.revokeGrant({ KeyId, DryRun, GrantId: 'a'.repeat(64) }),
  RetireGrant: (KeyId, DryRun) => client.retireGrant({ KeyId, DryRun, GrantId: 'a'.repeat(64) }),
}

test.each(Object.entries(calls))('%s', async (operation, call) => {
  for (const dryRun of [false, true])
    for (const key of [foreign.arn, absent])
      expect(await refusal(call(key, dryRun))).toBe(invisible(stranger, operation))
})

test('an alias', async () => {
  const known = foreign.arn.replace(`key/${foreign.id}`, 'alias/test/invisible')
  await kms.createAlias({ AliasName: 'alias/test/invisible', TargetKeyId: foreign.id })
  for (const DryRun of [false, true])
    for (const KeyId of [known, alias])
      expect(await refusal(client.encrypt({ KeyId, DryRun, ...plain }))).toBe(invisible(stranger, 'Encrypt'))
})

test('the key of a ciphertext', async () => {
  const unknown = Uint8Array.from(CiphertextBlob)
  // Within the 16 bytes of the key id, after magic, suite and form.
  unknown[10]! ^= 1
  for (const DryRun of [false, true]) {
    const answers = await Promise.all(
      [CiphertextBlob, unknown].map(blob => refusal(client.decrypt({ CiphertextBlob: blob, DryRun }))),
    )
    expect(new Set(answers).size).toBe(1)
    expect(answers[0]).toMatch(/^AccessDeniedException: The ciphertext refers to a customer master key that does not/)
  }
})
