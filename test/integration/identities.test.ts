/** Roles, groups, services, managed policies and accounts by the strongroom command, and the file that declares them. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { stringify } from 'yaml'
import { connectionOf, runStrongroom, type Sandbox, startSandbox } from '../support/sandbox.ts'

const folder = mkdtempSync(join(tmpdir(), 'strongroom-identities-'))
const clients: KMS[] = []
let sandbox: Sandbox
let account: string

beforeAll(async () => {
  sandbox = await startSandbox({ tokens: 1 })
  account = sandbox.description.accountId
})

afterAll(async () => {
  for (const client of clients) client.destroy()
  await sandbox?.stop()
  rmSync(folder, { recursive: true })
})

function strongroom(...args: string[]) {
  return runStrongroom(sandbox, ['identity', ...args])
}

/** The answer of a command, as JSON. */
async function ask(...args: string[]) {
  const { code, stdout, stderr } = await strongroom(...args, '--output', 'json')
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

/** What the command says when it refuses. */
async function refusal(...args: string[]): Promise<string> {
  const { code, stdout, stderr } = await strongroom(...args, '--output', 'json')
  expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
  return stderr.replace(/^strongroom: /, '').trim()
}

function file(name: string, content: object | string): string {
  const path = join(folder, name)
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content))
  return path
}

function policy(action: string | string[], effect = 'Allow') {
  return { Version: '2012-10-17', Statement: [{ Effect: effect, Action: action, Resource: '*' }] }
}

const trust = (AWS: string) => ({
  ...{ Version: '2012-10-17', Statement: [{ Effect: 'Allow', Principal: { AWS }, Action: 'sts:AssumeRole' }] },
})

async function clientOf(name: string): Promise<KMS> {
  const credentials = await ask('access-key', 'create', name)
  const client = new KMS({ ...connectionOf(sandbox.description), credentials, maxAttempts: 1 })
  clients.push(client)
  return client
}

const DENIED = { name: 'AccessDeniedException' }

describe('strongroom identity', () => {
  it('lends a user the policies of its group, within its boundary, from one moment to the next', async () => {
    await ask('user', 'create', 'ann', '--tag', 'team=billing', 'shift=night')
    const ann = await clientOf('ann')
    await expect(ann.listKeys({})).rejects.toMatchObject(DENIED)
    await ask('group', 'create', 'readers')
    await ask('policy', 'create', 'Listing', file('listing.json', policy('kms:List*')), '--description', 'who may look')
    await ask('group', 'attach', 'readers', 'Listing')
    await ask('group', 'add', 'readers', 'ann')
    await expect(ann.listKeys({})).resolves.toBeDefined()
    await ask('policy', 'create', 'Ceiling', file('ceiling.json', policy('kms:GenerateRandom')))
    await ask('user', 'set-boundary', 'ann', 'Ceiling')
    await expect(ann.listKeys({})).rejects.toMatchObject(DENIED)
    await ask('user', 'set-boundary', 'ann')
    await expect(ann.listKeys({})).resolves.toBeDefined()
    await ask('user', 'untag', 'ann', 'shift')
    expect(await ask('user', 'show', 'ann')).toMatchObject({
      ...{ name: 'ann', kind: 'user', tags: { team: 'billing' }, groups: ['readers'], policies: {}, attached: [] },
    })
    expect(await ask('group', 'show', 'readers')).toMatchObject({ users: ['ann'], attached: ['Listing'] })
    expect(await refusal('group', 'delete', 'readers')).toBe('group readers has users: ann')
    expect(await refusal('policy', 'delete', 'Listing')).toBe('policy Listing is in use: group readers')
    await ask('group', 'remove', 'readers', 'ann')
    await expect(ann.listKeys({})).rejects.toMatchObject(DENIED)
    await ask('group', 'delete', 'readers')
    await ask('policy', 'delete', 'Listing')
  })

  it('keeps five versions of a policy, and puts an older one in force again', async () => {
    await ask('user', 'create', 'ben')
    const ben = await clientOf('ben')
    await ask('policy', 'create', 'Versioned', file('v.json', policy('kms:ListKeys')))
    await ask('user', 'attach', 'ben', 'Versioned')
    await expect(ben.listKeys({})).resolves.toBeDefined()
    for (let version = 2; version <= 6; version++) {
      const updated = await ask('policy', 'update', 'Versioned', file('v.json', policy('kms:ListAliases')))
      expect(updated.version).toBe(version)
    }
    await expect(ben.listKeys({})).rejects.toMatchObject(DENIED)
    const { versions, holders } = await ask('policy', 'show', 'Versioned')
    expect(versions.map(({ version }: { version: number }) => version)).toEqual([2, 3, 4, 5, 6])
    expect(holders).toEqual(['user ben'])
    await ask('policy', 'set-default', 'Versioned', '--version-number', '2')
    await expect(ben.listAliases({})).resolves.toBeDefined()
    expect(await refusal('policy', 'set-default', 'Versioned', '--version-number', '1')).toBe(
      'policy Versioned has no version 1',
    )
  })

  it('makes roles and services', async () => {
    const made = await ask('role', 'create', 'app', '--trust', file('trust.json', trust(account)), '--path', '/x/')
    expect(made).toMatchObject({
      arn: `arn:aws:iam::${account}:role/x/app`,
      principalId: expect.stringMatching(/^AROA/),
    })
    expect(await ask('role', 'update', 'app', '--max-session-seconds', '7200')).toMatchObject({
      ...{ maxSessionSeconds: 7_200, trust: trust(account) },
    })
    expect(await ask('service', 'create', 'storage')).toMatchObject({ arn: 'storage.amazonaws.com' })
    const other = await ask('account', 'create', '222222222222', '--name', 'tenant')
    expect(other).toMatchObject({ account: '222222222222', name: 'tenant' })
    expect(await refusal('service', 'create', 'storage', '--account', '222222222222')).toBe(
      'service storage exists already',
    )
    const acting = await ask('service', 'set-acts-for', 'storage', '222222222222', account, account)
    expect(acting).toMatchObject({ actsFor: [account, '222222222222'].sort() })
    expect(await refusal('service', 'set-acts-for', 'storage', '999999999999')).toBe('there is no account 999999999999')
    expect(await refusal('service', 'set-acts-for', 'storage', 'tenant')).toContain('must have 12 digits')
    expect(await ask('service', 'set-acts-for', 'storage')).toMatchObject({ actsFor: [] })
    await ask('service', 'delete', 'storage')
  })

  it('checks documents and names when they are set', async () => {
    const bad = file('bad.json', {
      Version: '2012-10-17',
      Statement: [{ Effect: 'Perhaps', Action: '*', Resource: '*' }],
    })
    await ask('user', 'create', 'cleo')
    expect(await refusal('user', 'put-policy', 'cleo', 'P', bad)).toContain('policy P of user cleo: ')
    expect(await refusal('user', 'put-policy', 'cleo', 'P', file('no.json', '{'))).toContain('it is not JSON')
    expect(await refusal('role', 'create', 'r', '--trust', file('p.json', policy('*')))).toContain(
      'trust policy of role r',
    )
    expect(await refusal('user', 'attach', 'cleo', 'Absent')).toBe(`there is no policy Absent in account ${account}`)
    expect(await refusal('user', 'tag', 'cleo', 'aws:x=1')).toContain('no aws:')
    expect(await refusal('service', 'create', 'Upper')).toContain('small letters')
    expect(await refusal('access-key', 'create', 'nobody')).toBe(`there is no user nobody in account ${account}`)
    expect(await refusal('user', 'tag', 'cleo', 'x')).toBe('a tag is written KEY=VALUE, not "x"')
  })

  it('removes an account when it is empty', async () => {
    await ask('account', 'create', '333333333333')
    await ask('user', 'create', 'dora', '--account', '333333333333')
    expect(await refusal('account', 'delete', '333333333333')).toBe('account 333333333333 is not empty: it has users')
    await ask('user', 'delete', 'dora', '--account', '333333333333')
    await ask('account', 'delete', '333333333333')
    expect((await ask('account', 'list')).map(({ account: id }: { account: string }) => id)).not.toContain(
      '333333333333',
    )
  })
})

describe('strongroom identity apply', () => {
  const tenant = '444444444444'
  const declaration = {
    policies: { Reading: { description: 'who may look', document: policy('kms:List*') } },
    groups: { ops: { attached: ['Reading'] } },
    users: { eve: { path: '/ops/', groups: ['ops'], tags: { team: 'ops' } }, frank: {} },
    roles: { orders: { trust: trust(tenant), policies: { Use: policy(['kms:Decrypt']) }, boundary: 'Reading' } },
    services: { billing: { actsFor: [tenant] } },
  }
  const apply = (content: object, ...options: string[]) =>
    strongroom('apply', file('identities.yaml', stringify(content)), '--account', tenant, ...options)

  beforeAll(async () => {
    await ask('account', 'create', tenant)
  })

  it('shows the difference first, and changes nothing when it is not told to', async () => {
    const dry = await apply(declaration, '--dry-run')
    expect(dry).toMatchObject({ code: 0, stderr: '' })
    expect(dry.stdout).toBe(
      [
        '+ policy Reading',
        '    + path /',
        '    + description who may look',
        `    + document ${JSON.stringify(policy('kms:List*'))}`,
        '+ group ops',
        '    + path /',
        '    + attached Reading',
        '+ user eve',
        '    + path /ops/',
        '    + tag team=ops',
        '    + group ops',
        '+ user frank',
        '    + path /',
        '+ role orders',
        '    + path /',
        `    + policy Use ${JSON.stringify(policy(['kms:Decrypt']))}`,
        '    + boundary Reading',
        `    + trust ${JSON.stringify(trust(tenant))}`,
        '    + maxSessionSeconds 3600',
        '+ service billing',
        '    + path /',
        `    + acts for ${tenant}`,
        '',
      ].join('\n'),
    )
    expect(await apply(declaration)).toMatchObject({
      ...{ code: 1, stderr: 'strongroom: nothing was changed: --yes applies without asking\n' },
    })
    expect(await ask('user', 'list', '--account', tenant)).toEqual([])
  })

  it('makes the account be so, and has nothing to do the second time', async () => {
    expect(await apply(declaration, '--yes')).toMatchObject({ code: 0, stdout: expect.stringMatching(/\napplied\n$/) })
    expect(await ask('user', 'show', 'eve', '--account', tenant)).toMatchObject({
      ...{ arn: `arn:aws:iam::${tenant}:user/ops/eve`, groups: ['ops'], tags: { team: 'ops' } },
    })
    expect(await apply(declaration, '--yes')).toMatchObject({ code: 0, stdout: 'nothing to change\n' })
    const json = await apply(declaration, '--yes', '--output', 'json')
    expect(JSON.parse(json.stdout)).toEqual({ differences: [], applied: false })
  })

  it('changes what differs and keeps ids; what is not named goes only with prune', async () => {
    const before = await ask('user', 'show', 'eve', '--account', tenant)
    const { frank, ...users } = declaration.users
    const changed = {
      ...{ ...declaration, users: { eve: { ...users.eve, tags: { team: 'night' } } } },
      policies: { Reading: { description: 'who may look', document: policy('kms:Describe*') } },
    }
    const done = await apply(changed, '--yes')
    expect(done.stdout).toBe(
      [
        '~ policy Reading',
        `    - document ${JSON.stringify(policy('kms:List*'))}`,
        `    + document ${JSON.stringify(policy('kms:Describe*'))}`,
        '~ user eve',
        '    - tag team=ops',
        '    + tag team=night',
        'applied',
        '',
      ].join('\n'),
    )
    expect((await ask('user', 'show', 'eve', '--account', tenant)).principalId).toBe(before.principalId)
    expect((await ask('policy', 'show', 'Reading', '--account', tenant)).version).toBe(2)
    expect((await apply({ ...changed, prune: true }, '--yes')).stdout).toBe('- user frank\napplied\n')
    expect((await apply({ prune: true }, '--yes')).stdout).toBe(
      '- service billing\n- role orders\n- user eve\n- group ops\n- policy Reading\napplied\n',
    )
  })

  it('applies all of a file or nothing', async () => {
    const half = { users: { good: {} }, groups: { lost: { attached: ['Absent'] } } }
    const refused = await apply(half, '--yes')
    expect(refused).toMatchObject({ code: 1, stderr: `strongroom: there is no policy Absent in account ${tenant}\n` })
    expect(await ask('user', 'list', '--account', tenant)).toEqual([])
    const unknown = await apply({ users: { good: { colour: 'red' } } }, '--yes')
    expect(unknown).toMatchObject({ code: 1, stderr: expect.stringContaining('declaration.users.good') })
    const acting = await apply({ users: { good: { actsFor: [tenant] } } }, '--yes')
    expect(acting).toMatchObject({ code: 1, stderr: expect.stringContaining('a user acts for no account') })
    const trusted = await apply({ users: { good: { trust: trust(tenant) } } }, '--yes')
    expect(trusted).toMatchObject({ code: 1, stderr: expect.stringContaining('a role has a trust policy') })
  })
})
