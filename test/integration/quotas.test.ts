/** Quotas and request rates of a daemon that is configured with small ones. */
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { readMetrics } from '../support/metrics.ts'
import {
  awsEnvironment,
  connectionOf,
  run,
  runAwsCli,
  runStrongroom,
  type Sandbox,
  startSandbox,
} from '../support/sandbox.ts'

/** One request in a hundred seconds: none is left when one was made. */
const ONE = 0.01
const QUOTAS = {
  keysPerAccount: 4,
  aliasesPerKey: 1,
  grantsPerKey: 1,
  tagsPerKey: 2,
  keyPolicyBytes: 1_024,
  requests: {
    account: { ListKeys: ONE, GetKeyRotationStatus: ONE },
    principal: { GetPublicKey: ONE, eccDataKeyPairs: ONE, ecc: ONE, sts: ONE },
  },
}
const THROTTLED = {
  name: 'ThrottlingException',
  message: 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.',
}

let sandbox: Sandbox
let kms: KMS
let other: KMS
let KeyId: string

beforeAll(async () => {
  sandbox = await startSandbox({ tokens: 1, settings: { quotas: QUOTAS } })
  kms = sandbox.client()
  other = new KMS({ ...connectionOf(sandbox.description), credentials: await newUser('other'), maxAttempts: 1 })
  KeyId = (await kms.createKey({})).KeyMetadata!.KeyId!
})

afterAll(async () => {
  other?.destroy()
  await sandbox?.stop()
})

/** The access key of a user who may do everything. */
async function newUser(name: string): Promise<{ accessKeyId: string; secretAccessKey: string }> {
  for (const args of [
    ['identity', 'create', name, '--full-access'],
    ['identity', 'access-key', 'create', name, '--output', 'json'],
  ]) {
    const { code, stdout } = await runStrongroom(sandbox, args)
    expect(code).toBe(0)
    if (args.includes('access-key')) return JSON.parse(stdout)
  }
  throw new Error('no access key')
}

describe('quotas', () => {
  it('bound the keys of an account in a region', async () => {
    const { KeyMetadata } = await kms.createKey({})
    await kms.scheduleKeyDeletion({ KeyId: KeyMetadata!.KeyId! })
    await kms.createKey({ Origin: 'EXTERNAL' })
    const atOnce = await Promise.allSettled(Array.from({ length: 4 }, () => kms.createKey({})))
    expect(atOnce.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const { accountId, region } = sandbox.description
    await expect(kms.createKey({})).rejects.toMatchObject({
      name: 'LimitExceededException',
      message: `Account ${accountId} has 4 keys in ${region}; an account can have 4 in a region.`,
    })
  })

  it('bound the aliases, grants and tags of a key', async () => {
    await kms.createAlias({ AliasName: 'alias/one', TargetKeyId: KeyId })
    await expect(kms.createAlias({ AliasName: 'alias/two', TargetKeyId: KeyId })).rejects.toMatchObject({
      name: 'LimitExceededException',
      message: expect.stringMatching(/ has 1 aliases; a key can have 1\.$/),
    })
    const grant = { KeyId, GranteePrincipal: sandbox.description.callerArn }
    await kms.createGrant({ ...grant, Operations: ['Decrypt'] })
    await expect(kms.createGrant({ ...grant, Operations: ['Encrypt'] })).rejects.toMatchObject({
      name: 'LimitExceededException',
      message: expect.stringMatching(/ has 1 grants; a key can have 1\.$/),
    })
    const tags = ['a', 'b', 'c'].map(TagKey => ({ TagKey, TagValue: '' }))
    await kms.tagResource({ KeyId, Tags: tags.slice(0, 2) })
    await expect(kms.tagResource({ KeyId, Tags: tags.slice(2) })).rejects.toMatchObject({ name: 'TagException' })
    await kms.tagResource({ KeyId, Tags: tags.slice(0, 1) })
  })

  it('bound the key policy', async () => {
    const { Policy } = await kms.getKeyPolicy({ KeyId })
    await kms.putKeyPolicy({ KeyId, Policy: Policy!.padEnd(1_024) })
    await expect(kms.putKeyPolicy({ KeyId, Policy: Policy!.padEnd(1_025) })).rejects.toMatchObject({
      name: 'LimitExceededException',
      message: 'The key policy is longer than 1024 bytes.',
    })
  })
})

describe('request rates', () => {
  it('hold for all principals of an account together', async () => {
    await kms.listKeys({})
    await expect(other.listKeys({})).rejects.toMatchObject(THROTTLED)
    await expect(kms.listKeys({})).rejects.toMatchObject(THROTTLED)
  })

  it('hold for a principal, and leave the others alone', async () => {
    // What is refused by its state, usage or policy counts too.
    await expect(kms.getPublicKey({ KeyId })).rejects.toMatchObject({ name: 'UnsupportedOperationException' })
    await expect(kms.getPublicKey({ KeyId })).rejects.toMatchObject(THROTTLED)
    await expect(other.getPublicKey({ KeyId })).rejects.toMatchObject({ name: 'UnsupportedOperationException' })
  })

  it('hold for kinds of keys, and count DryRun', async () => {
    const pair = { KeyId, KeyPairSpec: 'ECC_NIST_P256' } as const
    await expect(kms.generateDataKeyPair({ ...pair, DryRun: true })).rejects.toMatchObject({
      name: 'DryRunOperationException',
    })
    await expect(kms.generateDataKeyPairWithoutPlaintext(pair)).rejects.toMatchObject(THROTTLED)
    await kms.generateDataKeyPair({ KeyId, KeyPairSpec: 'ECC_NIST_P384' })
    const signing = { KeyId, Message: Buffer.from('x'), SigningAlgorithm: 'ECDSA_SHA_256' } as const
    await expect(kms.sign(signing)).rejects.toMatchObject({ name: 'InvalidKeyUsageException' })
    await expect(kms.sign(signing)).rejects.toMatchObject(THROTTLED)
    await expect(kms.sign({ ...signing, SigningAlgorithm: 'RSASSA_PSS_SHA_256' })).rejects.toMatchObject({
      name: 'InvalidKeyUsageException',
    })
  })

  it('hold for STS', async () => {
    expect(await runAwsCli(sandbox, ['sts', 'get-caller-identity'])).toMatchObject({ code: 0 })
    const { endpoint } = sandbox.description
    const once = { ...awsEnvironment(sandbox.description), AWS_MAX_ATTEMPTS: '1' }
    const { stderr } = await run('/usr/bin/aws', ['--endpoint-url', endpoint, 'sts', 'get-caller-identity'], once)
    expect(stderr).toMatch(/\(Throttling\).*Rate exceeded/)
  })

  it('are not spent on requests whose signature is wrong', async () => {
    const credentials = { ...connectionOf(sandbox.description).credentials, secretAccessKey: 'x'.repeat(40) }
    const forger = new KMS({ ...connectionOf(sandbox.description), credentials, maxAttempts: 1 })
    try {
      await expect(forger.getKeyRotationStatus({ KeyId })).rejects.toMatchObject({ name: 'InvalidSignatureException' })
      await kms.getKeyRotationStatus({ KeyId })
      await expect(kms.getKeyRotationStatus({ KeyId })).rejects.toMatchObject(THROTTLED)
    } finally {
      forger.destroy()
    }
  })

  it('show in the metrics', async () => {
    const samples = await readMetrics(sandbox.description.adminEndpoint)
    const counted = (quota: string, rate: string) =>
      samples.get(`strongroom_requests_throttled_total{quota="${quota}",rate="${rate}"}`)
    expect(counted('account', 'ListKeys')).toBe(2)
    expect(counted('principal', 'GetPublicKey')).toBe(1)
    expect(counted('principal', 'sts')).toBeGreaterThanOrEqual(1)
  })
})
