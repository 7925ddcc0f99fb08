/** `strongroom authz`: decisions explained by the running daemon, and cases judged without one. */
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Finished, run, runStrongroom, type Sandbox, startSandbox } from '../support/sandbox.ts'

const STRONGROOM = fileURLToPath(new URL('../../scripts/strongroom', import.meta.url))

let sandbox: Sandbox
let keyId: string
let user: string

beforeAll(async () => {
  sandbox = await startSandbox({ tokens: 1 })
  const kms = sandbox.client()
  const { KeyMetadata } = await kms.createKey({})
  keyId = KeyMetadata!.KeyId!
  user = `arn:aws:iam::${sandbox.description.accountId}:user/app`
  await runStrongroom(sandbox, ['identity', 'create', 'app'])
  await kms.createGrant({
    ...{ KeyId: keyId, GranteePrincipal: user, Operations: ['Decrypt'], Name: 'lent' },
    Constraints: { EncryptionContextEquals: { app: 'orders' } },
  })
})

afterAll(() => sandbox.stop())

function explain(principal: string, action: string, ...more: string[]): Promise<Finished> {
  const asked = ['--principal', principal, '--action', action, '--output', 'json', ...more]
  return runStrongroom(sandbox, ['authz', 'explain', ...asked])
}

describe('strongroom authz explain', () => {
  it('names the statements that decide', async () => {
    const { code, stdout } = await explain(sandbox.description.callerArn, 'kms:Encrypt', '--key', keyId)
    expect(code).toBe(0)
    expect(JSON.parse(stdout)).toEqual({
      decision: 'Allow',
      reason: expect.stringMatching(
        /^the key policy, statement 1 \("Enable IAM User Permissions"\), .*FullAccess.* statement 1$/,
      ),
    })
  })

  it('names the grant that decides, and what a request lacks for it', async () => {
    const { GrantId } = (await sandbox.client().listGrants({ KeyId: keyId })).Grants![0]!
    const met = await explain(user, 'kms:Decrypt', '--key', keyId, '--context', 'app=orders')
    expect(JSON.parse(met.stdout)).toEqual({ decision: 'Allow', reason: `grant ${GrantId}` })
    const missed = await explain(user, 'kms:Decrypt', '--key', keyId, '--context', 'app=theft')
    expect(missed.code).toBe(1)
    expect(JSON.parse(missed.stdout)).toMatchObject({
      decision: 'Deny',
      reason: 'no identity-based policy allows it',
      message: expect.stringContaining(`User: ${user} is not authorized to perform: kms:Decrypt`),
      needed: expect.arrayContaining([expect.stringContaining(`a grant of Decrypt to ${user}`)]),
      almost: [`grant ${GrantId}: the encryption context is another one`],
    })
  })

  it('takes condition keys besides pairs of the encryption context', async () => {
    const kms = sandbox.client()
    const { KeyMetadata } = await kms.createKey({})
    const { Policy } = await kms.getKeyPolicy({ KeyId: KeyMetadata!.KeyId! })
    const policy = JSON.parse(Policy!)
    const Condition = { IpAddress: { 'aws:SourceIp': '10.0.0.0/8' } }
    policy.Statement.push({
      Sid: 'Inside',
      Effect: 'Allow',
      Principal: { AWS: user },
      Action: 'kms:Encrypt',
      Resource: '*',
      Condition,
    })
    await kms.putKeyPolicy({ KeyId: KeyMetadata!.KeyId!, Policy: JSON.stringify(policy) })
    const ask = (ip: string) =>
      explain(user, 'kms:Encrypt', '--key', KeyMetadata!.Arn!, '--context', `aws:SourceIp=${ip}`)
    expect(JSON.parse((await ask('10.1.1.1')).stdout).reason).toBe('the key policy, statement 2 ("Inside")')
    expect(JSON.parse((await ask('192.0.2.1')).stdout).almost).toEqual([
      'the key policy, statement 2 ("Inside"): the request does not meet IpAddress aws:SourceIp',
    ])
  })

  it('knows how long a key was not used, and takes another answer to that', async () => {
    const kms = sandbox.client()
    const { KeyId } = (await kms.createKey({})).KeyMetadata!
    const policy = JSON.parse((await kms.getKeyPolicy({ KeyId: KeyId! })).Policy!)
    const Condition = { NumericLessThanEquals: { 'kms:TrailingDaysWithoutKeyUsage': 365 } }
    const used = { Sid: 'Used', Effect: 'Deny', Principal: '*', Action: 'kms:DisableKey', Resource: '*', Condition }
    policy.Statement.push(used)
    await kms.putKeyPolicy({ KeyId: KeyId!, Policy: JSON.stringify(policy) })
    const ask = (...more: string[]) =>
      explain(sandbox.description.callerArn, 'kms:DisableKey', '--key', KeyId!, ...more)
    expect(JSON.parse((await ask()).stdout)).toMatchObject({
      ...{ decision: 'Deny', reason: 'the key policy, statement 2 ("Used") denies it' },
    })
    expect((await ask('--context', 'kms:TrailingDaysWithoutKeyUsage=400')).code).toBe(0)
  })

  it('refuses principals and keys that are not there', async () => {
    expect((await explain(`${user}s`, 'kms:Encrypt')).stderr).toContain(`There is no principal ${user}s`)
    const { code, stderr } = await explain(user, 'kms:Encrypt', '--key', 'alias/none')
    expect([code, stderr]).toEqual([1, expect.stringContaining('is not found')])
  })
})

describe('strongroom authz simulate', () => {
  it('judges each line, says which are malformed, and ends with 1 then', async () => {
    const good = {
      ...{ id: 'a', principal: { arn: user, account: '000000000001', type: 'User' }, keyPolicy: null, keyArn: null },
      ...{ action: 'kms:CreateKey', context: {}, comment: 'ignored' },
      identityPolicies: [
        { Version: '2012-10-17', Statement: { Effect: 'Allow', Action: 'kms:Create*', Resource: '*' } },
      ],
    }
    const lines = [good, { ...good, id: 7, action: 'kms:ListKeys' }, { ...good, id: null, principal: undefined }]
    const file = join(sandbox.description.dir, 'cases.jsonl')
    const simulate = async (cases: readonly unknown[]) => {
      writeFileSync(file, cases.map(one => `${JSON.stringify(one)}\n`).join(''))
      return run(STRONGROOM, ['authz', 'simulate', file])
    }
    const { code, stdout } = await simulate(lines)
    expect(
      stdout
        .trim()
        .split('\n')
        .map(line => JSON.parse(line)),
    ).toEqual([
      { id: 'a', decision: 'Allow', reason: 'identity policy 1, statement 1' },
      { id: 7, decision: 'Deny', reason: 'no identity-based policy allows it' },
      { id: null, error: expect.stringContaining('principal') },
    ])
    expect(code).toBe(1)
    expect((await simulate(lines.slice(0, 2))).code).toBe(0)
    // JSON.parse keeps one of two members of a name: what the other said would not be looked at.
    writeFileSync(file, JSON.stringify(good).replace('"Allow"', '"Allow","Effect":"Allow"'))
    const twice = await run(STRONGROOM, ['authz', 'simulate', file])
    expect(JSON.parse(twice.stdout)).toEqual({ id: 'a', error: 'Effect stands twice in one object' })
    expect(twice.code).toBe(1)
  })
})
