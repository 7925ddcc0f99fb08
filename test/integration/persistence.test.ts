/** kill -9 of the daemon while keys are made and used: what was acknowledged is there when it starts again. */
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import { type Instance, makeInstance, type Serving } from '../support/instance.ts'
import { startLoad } from '../support/load.ts'
import { waitUntil, waitUntilGone } from '../support/processes.ts'
import { REGION } from '../support/tokens.ts'

const ROUNDS = 3
const LANES = 4
const KEYS_PER_ROUND = 25

interface Acknowledged {
  readonly keyId: string
  alias?: string
  ciphertext?: { readonly blob: Uint8Array; readonly plaintext: string }
  disabled?: true
}

let instance: Instance
let daemon: Serving | undefined

beforeAll(async () => {
  instance = await makeInstance(['a'])
  instance.configure(['a'])
  expect(await instance.init()).toMatchObject({ code: 0 })
})

afterAll(async () => {
  if (daemon !== undefined) process.kill(daemon.pid, 'SIGTERM')
  expect(await daemon?.ended).toBe(0)
  instance?.remove()
})

const clientOf = ({ endpoint }: Serving) =>
  new KMS({ endpoint, region: REGION, credentials: readCredentials(instance.stateDir), maxAttempts: 1 })

describe('a daemon that is killed', () => {
  it('has every key, alias, state and ciphertext that it acknowledged when it starts again', async () => {
    const acknowledged: Acknowledged[] = []
    for (let round = 0; round < ROUNDS; round++) {
      daemon = await instance.serve()
      const kms = clientOf(daemon)
      await verify(kms, acknowledged)
      const goal = acknowledged.length + KEYS_PER_ROUND
      const load = startLoad(LANES, async () => {
        const { KeyId } = (await kms.createKey({})).KeyMetadata!
        const key: Acknowledged = { keyId: KeyId! }
        acknowledged.push(key)
        const alias = `alias/${KeyId}`
        await kms.createAlias({ AliasName: alias, TargetKeyId: KeyId! })
        key.alias = alias
        const { CiphertextBlob } = await kms.encrypt({ KeyId: KeyId!, Plaintext: Buffer.from(alias) })
        key.ciphertext = { blob: CiphertextBlob!, plaintext: alias }
        if (acknowledged.length % 5 !== 0) return
        await kms.disableKey({ KeyId: KeyId! })
        key.disabled = true
      })
      await waitUntil(() => acknowledged.length >= goal, 30_000)
      const { pid, hsmHostPids, ended } = daemon
      process.kill(pid, 'SIGKILL')
      expect(await ended).toBe('SIGKILL')
      await load.stop()
      await waitUntilGone(hsmHostPids, 5_000)
      kms.destroy()
    }
    daemon = await instance.serve()
    const kms = clientOf(daemon)
    await verify(kms, acknowledged)
    expect(acknowledged.length).toBeGreaterThanOrEqual(ROUNDS * KEYS_PER_ROUND)
    expect(acknowledged.filter(({ disabled }) => disabled).length).toBeGreaterThan(ROUNDS)
    kms.destroy()
  })

  it('knows when keys were used before it was stopped', async () => {
    const before = clientOf(daemon!)
    const KeyId = (await before.createKey({})).KeyMetadata!.KeyId!
    const { $metadata } = await before.encrypt({ KeyId, Plaintext: Buffer.from('x') })
    const { KeyLastUsage } = await before.getKeyLastUsage({ KeyId })
    before.destroy()
    process.kill(daemon!.pid, 'SIGTERM')
    expect(await daemon!.ended).toBe(0)
    daemon = await instance.serve()
    const after = clientOf(daemon)
    expect(await after.getKeyLastUsage({ KeyId })).toMatchObject({ KeyLastUsage })
    expect(KeyLastUsage).toMatchObject({ Operation: 'Encrypt', KmsRequestId: $metadata.requestId })
    after.destroy()
  })

  it('keeps a second daemon from its state folder', async () => {
    const { code, stderr } = await instance.run(['serve'])
    expect(code).toBe(1)
    expect(stderr).toContain('a daemon is running with this state folder')
    const kms = clientOf(daemon!)
    await expect(kms.listKeys({ Limit: 1 })).resolves.toMatchObject({ Truncated: true })
    kms.destroy()
  })
})

async function verify(kms: KMS, acknowledged: readonly Acknowledged[]): Promise<void> {
  for (const { keyId, alias, ciphertext, disabled } of acknowledged) {
    const { KeyMetadata } = await kms.describeKey({ KeyId: alias ?? keyId })
    expect(KeyMetadata).toMatchObject({ KeyId: keyId, ...(disabled ? { KeyState: 'Disabled' } : {}) })
    // A change that was never acknowledged may have been made all the same.
    if (ciphertext === undefined || KeyMetadata!.KeyState === 'Disabled') continue
    const { Plaintext } = await kms.decrypt({ CiphertextBlob: ciphertext.blob })
    expect(Buffer.from(Plaintext!).toString()).toBe(ciphertext.plaintext)
  }
}
