/** `strongroom identity …` and `strongroom hsm status` against a running daemon, and what becomes of the users' requests. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { AdminRequest, AdminRequestName } from '../../src/admin/admin-socket.ts'
import { askDaemon } from '../../src/cli/admin-client.ts'
import { makeInstance } from '../support/instance.ts'
import { waitUntil } from '../support/processes.ts'
import { connectionOf, runStrongroom, type Sandbox, startSandbox } from '../support/sandbox.ts'

interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

const STRONGROOM = fileURLToPath(new URL('../../scripts/strongroom', import.meta.url))
const UNRECOGNIZED = {
  name: 'UnrecognizedClientException',
  message: 'The security token included in the request is invalid.',
}

let sandbox: Sandbox
const clients: KMS[] = []

beforeAll(async () => {
  sandbox = await startSandbox({ tokens: 1 })
})

afterAll(async () => {
  for (const client of clients) client.destroy()
  await sandbox?.stop()
})

/** The answer of a command, as JSON. */
async function ask<T>(...args: readonly string[]): Promise<T> {
  const { code, stdout, stderr } = await runStrongroom(sandbox, [...args, '--output', 'json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return (stdout === '' ? undefined : JSON.parse(stdout)) as T
}

/** What the command asks the daemon, without the command. */
function askSocket<N extends AdminRequestName>(name: N, body: Omit<AdminRequest<N>, 'account'>): Promise<unknown> {
  const { dir, accountId: account } = sandbox.description
  return askDaemon(join(dir, 'admin.sock'), name, { account, ...body } as unknown as AdminRequest<N>)
}

function clientOf(credentials: Credentials): KMS {
  const client = new KMS({ ...connectionOf(sandbox.description), credentials, maxAttempts: 1 })
  clients.push(client)
  return client
}

describe('strongroom identity', () => {
  it('makes a user, with an identity policy that allows everything or with none', async () => {
    const alice = await ask<object>('identity', 'create', 'alice', '--full-access', '--path', '/apps/')
    const arn = `arn:aws:iam::${sandbox.description.accountId}:user`
    expect(alice).toEqual({
      ...{ name: 'alice', kind: 'user', path: '/apps/', arn: `${arn}/apps/alice`, fullAccess: true },
      principalId: expect.stringMatching(/^AIDA[A-Z2-7]{17}$/),
      created: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
    })
    const bob = await ask<object>('identity', 'create', 'bob')
    expect(bob).toMatchObject({ name: 'bob', path: '/', arn: `${arn}/bob`, fullAccess: false })
    const all = await ask<object[]>('identity', 'list')
    expect(all).toEqual(expect.arrayContaining([alice, bob, expect.objectContaining({ name: 'admin' })]))
    expect(all).toHaveLength(3)
  })

  it('gives an access key two at most, shows the secret once, and lets requests in that were signed with it', async () => {
    const text = await runStrongroom(sandbox, ['identity', 'access-key', 'create', 'alice'])
    expect(text).toMatchObject({ code: 0, stderr: 'The secret is not shown again.\n' })
    const [heading, values] = text.stdout.trim().split('\n')
    expect(heading!.split(/ +/)).toEqual(['ACCESSKEYID', 'SECRETACCESSKEY'])
    const [accessKeyId, secretAccessKey] = values!.split(/ +/)
    const first = { accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! }
    const second = (await askSocket('access-key/create', { name: 'alice' })) as Credentials
    for (const each of [first, second]) {
      expect(each).toEqual({
        accessKeyId: expect.stringMatching(/^AKIA[A-Z2-7]{16}$/),
        secretAccessKey: expect.stringMatching(/^[A-Za-z0-9+/]{40}$/),
      })
      await expect(clientOf(each).createKey({})).resolves.toMatchObject({ KeyMetadata: { KeyState: 'Enabled' } })
    }
    expect(await runStrongroom(sandbox, ['identity', 'access-key', 'create', 'alice'])).toEqual({
      code: 1,
      stdout: '',
      stderr: 'strongroom: user alice has 2 access keys, as many as a user can have\n',
    })
    const listed = await runStrongroom(sandbox, ['identity', 'access-key', 'list', 'alice', '-o', 'json'])
    const active = (id: string) => ({
      ...{ accessKeyId: id, status: 'active', created: expect.any(String), lastUsed: expect.stringMatching(/^\d{4}-/) },
      ...{ lastUsedRegion: sandbox.description.region, lastUsedService: 'kms' },
    })
    expect(JSON.parse(listed.stdout)).toEqual(
      expect.arrayContaining([active(first.accessKeyId), active(second.accessKeyId)]),
    )
    for (const { secretAccessKey: secret } of [first, second])
      expect([listed.stdout, sandbox.log()].map(output => output.includes(secret))).toEqual([false, false])
    const mixed = { accessKeyId: first.accessKeyId, secretAccessKey: second.secretAccessKey }
    await expect(clientOf(mixed).listKeys({})).rejects.toMatchObject({ name: 'InvalidSignatureException' })
  })

  it('disables, enables and deletes an access key at once', async () => {
    await askSocket('identity/create', { name: 'dave', fullAccess: true })
    const made = (await askSocket('access-key/create', { name: 'dave' })) as Credentials
    const change = async (name: 'disable' | 'enable' | 'delete') => {
      const done = await runStrongroom(sandbox, ['identity', 'access-key', name, 'dave', made.accessKeyId])
      expect(done).toEqual({ code: 0, stdout: `${made.accessKeyId}: ${name}d\n`, stderr: '' })
    }
    const kms = clientOf(made)
    await kms.listKeys({})
    await change('disable')
    await expect(kms.listKeys({})).rejects.toMatchObject(UNRECOGNIZED)
    await change('enable')
    await expect(kms.listKeys({})).resolves.toBeDefined()
    await change('delete')
    await expect(kms.listKeys({})).rejects.toMatchObject(UNRECOGNIZED)
    const again = askSocket('access-key/enable', { name: 'dave', accessKeyId: made.accessKeyId })
    await expect(again).rejects.toThrow(`user dave has no access key ${made.accessKeyId}`)
  })

  it('rotates an access key: the one that is replaced is disabled, and can come back', async () => {
    await askSocket('identity/create', { name: 'erin', fullAccess: true })
    const old = (await askSocket('access-key/create', { name: 'erin' })) as Credentials
    await expect(clientOf(old).listKeys({})).resolves.toBeDefined()
    const made = await ask<Credentials>('identity', 'access-key', 'rotate', 'erin', old.accessKeyId)
    await expect(clientOf(made).listKeys({})).resolves.toBeDefined()
    await expect(clientOf(old).listKeys({})).rejects.toMatchObject(UNRECOGNIZED)
    await askSocket('access-key/enable', { name: 'erin', accessKeyId: old.accessKeyId })
    await expect(clientOf(old).listKeys({})).resolves.toBeDefined()
  })

  it('lets a user without a policy do nothing', async () => {
    const bob = clientOf((await askSocket('access-key/create', { name: 'bob' })) as Credentials)
    const { KeyId } = (await sandbox.client().createKey({})).KeyMetadata!
    const denied = { name: 'AccessDeniedException' }
    await expect(bob.createKey({})).rejects.toMatchObject(denied)
    await expect(bob.listKeys({})).rejects.toMatchObject(denied)
    await expect(bob.describeKey({ KeyId })).rejects.toMatchObject(denied)
    await expect(bob.generateDataKey({ KeyId, KeySpec: 'AES_256' })).rejects.toMatchObject(denied)
    await ask('identity', 'delete', 'bob')
    await expect(bob.listKeys({})).rejects.toMatchObject(UNRECOGNIZED)
    const listed = askSocket('access-key/list', { name: 'bob' })
    await expect(listed).rejects.toThrow(`there is no user bob in account ${sandbox.description.accountId}`)
  })

  it('refuses what makes no sense, in words', async () => {
    const create = (name: string, more: object = {}) =>
      askSocket('identity/create', { name, fullAccess: false, ...more })
    await expect(create('alice')).rejects.toThrow('there is a user alice already')
    await expect(create('a b')).rejects.toThrow('a name has 1 to 64 letters, digits and _+=,.@-')
    await expect(create('carol', { path: 'apps' })).rejects.toThrow('a path begins and ends with /')
    await expect(create('carol', { account: '12' })).rejects.toThrow('account: must have 12 digits')
    await expect(create('carol', { account: '999999999999' })).rejects.toThrow('there is no account 999999999999')
  })
})

describe('strongroom hsm status', () => {
  it('says how each token is', async () => {
    const text = await runStrongroom(sandbox, ['hsm', 'status'])
    expect(text).toMatchObject({ code: 0, stderr: '' })
    const [head, row, ...rest] = text.stdout.split('\n')
    expect(head!.split(/ {2,}/)).toEqual([
      ...['REGION', 'HSM', 'STATE', 'HOSTS', 'LANES', 'SESSIONS', 'INFLIGHT', 'RESTARTS'],
      ...['P50 MS', 'P99 MS', 'SINCE', 'REASON'],
    ])
    expect(row).toMatch(/^on-prem-1 +on-prem-1-1 +healthy +1 +1 +\d+ +\d+ +0 +\S+ +\S+ +\S+Z +a host is ready$/)
    expect(rest).toEqual([''])
  })

  it('says it to a program', async () => {
    const { stdout } = await runStrongroom(sandbox, ['hsm', 'status', '--output', 'json'])
    const hsm = { hsm: 'on-prem-1-1', state: 'healthy', reason: 'a host is ready', hosts: 1, lanes: 1, restarts: 0 }
    expect(JSON.parse(stdout)).toMatchObject({
      ready: true,
      regions: [{ region: 'on-prem-1', ready: true, hsms: [hsm] }],
    })
  })

  it('looks again and again with --watch', async () => {
    const child = spawn(STRONGROOM, [
      'hsm',
      'status',
      '--watch',
      '0.1',
      '--config',
      join(sandbox.description.dir, 'strongroom.yaml'),
    ])
    let text = ''
    child.stdout.setEncoding('utf8').on('data', chunk => {
      text += chunk
    })
    try {
      await waitUntil(() => (text.match(/on-prem-1-1 +healthy/g) ?? []).length >= 3, 20_000)
    } finally {
      child.kill()
    }
  })
})

describe('strongroom hsm unlock', () => {
  it.each([
    [
      ['--region', 'on-prem-1', '--hsm', 'on-prem-1-1'],
      'region on-prem-1 has no HSM on-prem-1-1 whose PIN was refused',
    ],
    [['--region', 'on-prem-1', '--hsm', 'strange'], 'region on-prem-1 has no HSM strange whose PIN was refused'],
    [['--region', 'strange-1', '--hsm', 'on-prem-1-1'], 'no region strange-1 is served'],
  ])('refuses %j', async (args, message) => {
    const stderr = `strongroom: ${message}\n`
    expect(await runStrongroom(sandbox, ['hsm', 'unlock', ...args])).toEqual({ code: 1, stdout: '', stderr })
  })
})

describe('without a daemon', () => {
  it('commands that ask it say so', async () => {
    const instance = await makeInstance([])
    try {
      instance.configure([{ uri: 'pkcs11:token=x?module-path=/x.so&pin-source=/pin', environment: {} }])
      const message = `strongroom: no daemon is running (no one listens on ${instance.stateDir}/admin.sock)\n`
      for (const args of [
        ['identity', 'list'],
        ['hsm', 'status'],
      ])
        expect(await instance.run(args)).toEqual({ code: 1, stdout: '', stderr: message })
      const serving = await instance.run(['serve'])
      expect(serving).toMatchObject({ code: 1, stdout: '' })
      expect(serving.stderr).toContain('region on-prem-1 has no domain: run "strongroom init" first')
    } finally {
      instance.remove()
    }
  })
})
