/**
 * kill -9 of the daemon while keys, policies and grants are made and used: what was acknowledged is there when it starts again.
 * 200 times with STRONGROOM_FUZZ=nightly.
 */
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import { NIGHTLY } from '../fuzz/runs.ts'
import { type Instance, makeInstance, type Serving } from '../support/instance.ts'
import { startLoad } from '../support/load.ts'
import { waitUntil, waitUntilGone } from '../support/processes.ts'
import { REGION } from '../support/tokens.ts'

const ROUNDS = NIGHTLY ? 200 : 3
const MS_PER_ROUND = 240_000
const LANES = 4
const ACCOUNT = '000000000001'
const KEYS_PER_ROUND = 25

jest.setTimeout((ROUNDS + 1) * 2 * MS_PER_ROUND)

interface Acknowledged {
  readonly keyId: string
  alias?: string
  ciphertext?: { readonly blob: Uint8Array; readonly plaintext: string }
  disabled?: true
  /** The Sid of its policy's second statement. */
  sid?: string
  grantId?: string
  revoked?: true
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
      // Those of long ago are looked at in the end.
      await verify(kms, acknowledged.slice(-2 * KEYS_PER_ROUND))
      const goal = acknowledged.length + KEYS_PER_ROUND
      const load = startLoad(LANES, async () => {
        const { KeyId } = (await kms.createKey({})).KeyMetadata!
        const key: Acknowledged = { keyId: KeyId! }
        const made = acknowledged.push(key)
        const alias = `alias/${KeyId}`
        await kms.createAlias({ AliasName: alias, TargetKeyId: KeyId! })
        key.alias = alias
        const { CiphertextBlob } = await kms.encrypt({ KeyId: KeyId!, Plaintext: Buffer.from(alias) })
        key.ciphertext = { blob: CiphertextBlob!, plaintext: alias }
        if (made % 5 !== 0) return
        await kms.putKeyPolicy({ KeyId: KeyId!, Policy: policyWith('Own') })
        key.sid = 'Own'
        const grant = { GranteePrincipal: `arn:aws:iam::${ACCOUNT}:user/admin`, Operations: ['Decrypt' as const] }
        const { GrantId } = await kms.createGrant({ KeyId: KeyId!, ...grant })
        key.grantId = GrantId!
        const { GrantId: taken } = await kms.createGrant({ KeyId: KeyId!, ...grant, Name: 'taken-back' })
        await kms.revokeGrant({ KeyId: KeyId!, GrantId: taken! })
        key.revoked = true
        await kms.disableKey({ KeyId: KeyId! })
        key.disabled = true
      })
      await waitUntil(() => acknowledged.length >= goal, MS_PER_ROUND)
      const { pid, hsmHostPids, ended } = daemon
      process.kill(pid, 'SIGKILL')
      expect(await ended).toBe('SIGKILL')
      // Only what was on its way has failed, and of that AWS's clients know no name.
      const { failures } = await load.stop()
      expect(failures.filter(({ name }) => name.endsWith('Exception'))).toEqual([])
      await waitUntilGone(hsmHostPids, MS_PER_ROUND)
      kms.destroy()
    }
    daemon = await instance.serve()
    const kms = clientOf(daemon)
    await verify(kms, acknowledged)
    expect(acknowledged.length).toBeGreaterThanOrEqual(ROUNDS * KEYS_PER_ROUND)
    expect(acknowledged.filter(({ disabled }) => disabled).length).toBeGreaterThan(ROUNDS)
    expect(acknowledged.filter(({ revoked }) => revoked).length).toBeGreaterThan(ROUNDS)
    expect(await instance.run(['store', 'verify'])).toMatchObject({ code: 0 })
    // 3: whole, and the newest events wait for their checkpoint.
    for (const copy of [[], ['--store']])
      expect([0, 3]).toContain((await instance.run(['audit', 'verify', ...copy])).code)
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

function policyWith(sid: string): string {
  const everything = {
    Effect: 'Allow',
    Principal: { AWS: `arn:aws:iam::${ACCOUNT}:root` },
    Action: 'kms:*',
    Resource: '*',
  }
  return JSON.stringify({ Version: '2012-10-17', Statement: [everything, { ...everything, Sid: sid }] })
}

async function verify(kms: KMS, acknowledged: readonly Acknowledged[]): Promise<void> {
  for (const { keyId, alias, ciphertext, disabled, sid, grantId, revoked } of acknowledged) {
    const { KeyMetadata } = await kms.describeKey({ KeyId: alias ?? keyId })
    expect(KeyMetadata).toMatchObject({ KeyId: keyId, ...(disabled ? { KeyState: 'Disabled' } : {}) })
    if (sid !== undefined) expect((await kms.getKeyPolicy({ KeyId: keyId })).Policy).toContain(`"${sid}"`)
    if (grantId !== undefined) {
      const { Grants } = await kms.listGrants({ KeyId: keyId })
      expect(Grants!.map(each => each.GrantId)).toContain(grantId)
      if (revoked) expect(Grants).toHaveLength(1)
    }
    // A change that was never acknowledged may have been made all the same.
    if (ciphertext === undefined || KeyMetadata!.KeyState === 'Disabled') continue
    const { Plaintext } = await kms.decrypt({ CiphertextBlob: ciphertext.blob })
    expect(Buffer.from(Plaintext!).toString()).toBe(ciphertext.plaintext)
  }
}
