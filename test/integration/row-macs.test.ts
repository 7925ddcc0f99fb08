/**
 * Records changed behind the daemon's back, by another process that writes to its database (security.md 2.6): refused while
 * it runs and after it has started again, and named in its log. Tests 8, 9 and the running part of 10 of security.md 6.
 */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { LogFields, Logger } from '../../src/telemetry/logger.ts'
import { type ComposedDaemon, composeDaemon } from '../support/composed-daemon.ts'
import { type Instance, makeInstance } from '../support/instance.ts'
import { waitUntil } from '../support/processes.ts'
import { REGION } from '../support/tokens.ts'

const ACCOUNT = '000000000001'
const DAY_MS = 86_400_000
const NOTICE_MS = 10_000
const REFUSED = 'stored record refused: it was changed by other means than this program'
const UNKNOWN = { name: 'UnrecognizedClientException' }
const INTERNAL = { name: 'KMSInternalException' }
const SCRIPT = `
  const { DatabaseSync } = require('node:sqlite')
  const [path, text] = process.argv.slice(1)
  const database = new DatabaseSync(path, { timeout: 5000 })
  database.exec('PRAGMA foreign_keys = ON; BEGIN IMMEDIATE')
  const revive = value => typeof value === 'object' && value !== null ? Buffer.from(value.bytes, 'base64') : value
  const answers = JSON.parse(text).map(([sql, ...values]) => database.prepare(sql).all(...values.map(revive)))
  database.exec('COMMIT')
  const plain = (_, value) => value instanceof Uint8Array ? { bytes: Buffer.from(value).toString('base64') } : value
  process.stdout.write(JSON.stringify(answers, plain))`

type Row = Record<string, unknown>
type Statement = readonly [sql: string, ...values: unknown[]]

let instance: Instance
let path: string
let daemon: ComposedDaemon
const clock = { offsetMs: 0 }
let refusals: LogFields[] = []

const note = (event: string, fields?: LogFields) => void (event === REFUSED && refusals.push(fields ?? {}))
const logger: Logger = { error: note, warn() {}, info() {}, debug() {}, enabled: () => false }

beforeAll(async () => {
  instance = await makeInstance(['a'])
  path = instance.configure(['a'])
  expect(await instance.init()).toMatchObject({ code: 0 })
  await start()
})

afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]()
  instance?.remove()
})

async function start(): Promise<void> {
  daemon = await composeDaemon(instance, path, { clock, logger })
}

async function restart(): Promise<void> {
  await daemon[Symbol.asyncDispose]()
  refusals = []
  await start()
}

const kms = (credentials?: Parameters<ComposedDaemon['client']>[0]) => daemon.client(credentials)

/** Statements of another process, in one transaction; the rows that each answers with. */
function byHand(...statements: readonly Statement[]): Row[][] {
  const store = join(instance.stateDir, 'strongroom.db')
  const text = JSON.stringify(statements)
  return JSON.parse(execFileSync(process.execPath, ['--no-warnings', '-e', SCRIPT, store, text], { encoding: 'utf8' }))
}

const select = (sql: string, ...values: unknown[]): Row[] => byHand([sql, ...values])[0]!

function insertion(table: string, row: Row): Statement {
  const columns = Object.keys(row)
  const places = columns.map(() => '?').join(', ')
  return [`INSERT OR REPLACE INTO ${table} (${columns.join(', ')}) VALUES (${places})`, ...Object.values(row)]
}

const macOf = (table: string, primaryKey: string): Row =>
  select('SELECT * FROM row_macs WHERE table_name = ? AND primary_key = ?', table, primaryKey)[0]!

async function identity<T>(...args: string[]): Promise<T> {
  const { code, stdout, stderr } = await instance.run(['identity', ...args, '--output', 'json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

async function makeUser(name: string, action: string) {
  await identity('create', name)
  const policy = JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Action: action, Resource: '*' }],
  })
  const file = join(instance.folder, `${name}.json`)
  execFileSync('sh', ['-c', 'cat > "$0"', file], { input: policy })
  await identity('user', 'put-policy', name, 'Own', file)
  const credentials = await identity<{ accessKeyId: string; secretAccessKey: string }>('access-key', 'create', name)
  const [row] = select('SELECT principal_id FROM identities WHERE name = ?', name)
  return { ...credentials, principalId: String(row!.principal_id), client: () => kms(credentials) }
}

async function makeKey(alias: string): Promise<string> {
  const { KeyId } = (await kms().createKey({ Tags: [{ TagKey: 'team', TagValue: 'billing' }] })).KeyMetadata!
  await kms().createAlias({ AliasName: alias, TargetKeyId: KeyId! })
  await kms().describeKey({ KeyId: alias })
  return KeyId!
}

const errorOf = (call: () => Promise<unknown>): Promise<Error | undefined> =>
  call().then(
    () => undefined,
    (error: Error) => error,
  )

/** Waits until the daemon has noticed, and expects the answer and the line of the log; then again after a start. */
async function expectRefused(call: () => Promise<unknown>, error: { name: string }, table: string, primaryKey: string) {
  for (const look of [async () => {}, restart]) {
    await look()
    await waitUntil(async () => (await errorOf(call))?.name === error.name, NOTICE_MS)
    expect(refusals).toContainEqual(expect.objectContaining({ table, primaryKey }))
  }
}

const keyOf = (keyId: string) => `${REGION}/${ACCOUNT}/${keyId}`

describe('a record that was changed by hand', () => {
  it('is refused: an identity policy widened, until it is as it was', async () => {
    const ann = await makeUser('ann', 'kms:ListKeys')
    await ann.client().listKeys({})
    const [policy] = select('SELECT * FROM identity_policies WHERE principal_id = ?', ann.principalId)
    const widened = { ...policy, document: String(policy!.document).replace('kms:ListKeys', 'kms:*') }
    byHand(insertion('identity_policies', widened))
    await expectRefused(() => ann.client().listKeys({}), UNKNOWN, 'identities', ann.principalId)
    byHand(insertion('identity_policies', policy!))
    await waitUntil(async () => (await errorOf(() => ann.client().listKeys({}))) === undefined, NOTICE_MS)
  })

  it('is refused: a managed policy that others are attached to', async () => {
    const carl = await makeUser('carl', 'kms:ListKeys')
    const file = join(instance.folder, 'carl.json')
    await identity('policy', 'create', 'Shared', file)
    await identity('user', 'attach', 'carl', 'Shared')
    await carl.client().listKeys({})
    const [{ id }] = select("SELECT id FROM managed_policies WHERE name = 'Shared'") as [Row]
    byHand(["UPDATE managed_policy_versions SET document = replace(document, 'ListKeys', '*') WHERE policy_id = ?", id])
    await expectRefused(() => carl.client().listKeys({}), UNKNOWN, 'managed_policies', String(id))
  })

  it('is refused: an access key moved to an administrator', async () => {
    const bob = await makeUser('bob', 'kms:ListKeys')
    await bob.client().listKeys({})
    const [{ principal_id: admin }] = select("SELECT principal_id FROM identities WHERE name = 'admin'") as [Row]
    byHand(['UPDATE access_keys SET principal_id = ? WHERE id = ?', admin, bob.accessKeyId])
    await expectRefused(() => bob.client().listKeys({}), UNKNOWN, 'access_keys', bob.accessKeyId)
    byHand(['UPDATE access_keys SET principal_id = ? WHERE id = ?', bob.principalId, bob.accessKeyId])
    await waitUntil(async () => (await errorOf(() => kms().listKeys({}))) === undefined, NOTICE_MS)
  })

  it('is refused: an alias repointed', async () => {
    const [mine] = [await makeKey('alias/mine'), await makeKey('alias/theirs')]
    byHand(['UPDATE aliases SET key_id = ? WHERE name = ?', mine, 'alias/theirs'])
    const call = () => kms().describeKey({ KeyId: 'alias/theirs' })
    await expectRefused(call, INTERNAL, 'aliases', `${REGION}/${ACCOUNT}/alias/theirs`)
  })

  it.each([
    ['a tag edited', "UPDATE tags SET tag_value = 'treasury' WHERE key_id = ?"],
    ['a key policy widened', `UPDATE keys SET policy = replace(policy, ':root', ':user/eve') WHERE id = ?`],
    ['a key disabled', "UPDATE keys SET state = 'Disabled' WHERE id = ?"],
  ])('is refused: %s', async (what, sql) => {
    const keyId = await makeKey(`alias/${what.replaceAll(' ', '-')}`)
    byHand([sql, keyId])
    await expectRefused(() => kms().describeKey({ KeyId: keyId }), INTERNAL, 'keys', keyOf(keyId))
  })

  it('is not signed by the change that follows', async () => {
    const keyId = await makeKey('alias/followed')
    byHand(["UPDATE keys SET policy = replace(policy, ':root', ':user/eve') WHERE id = ?", keyId])
    const [before] = select('SELECT * FROM row_macs WHERE primary_key = ?', keyOf(keyId))
    const change = () => kms().tagResource({ KeyId: keyId, Tags: [{ TagKey: 'a', TagValue: 'b' }] })
    await expect(change()).rejects.toMatchObject(INTERNAL)
    expect(select('SELECT * FROM row_macs WHERE primary_key = ?', keyOf(keyId))).toEqual([before])
    expect(select("SELECT * FROM tags WHERE key_id = ? AND tag_key = 'a'", keyId)).toEqual([])
  })

  it('is not deleted because the database says that it is due, and others are', async () => {
    const [edited, due] = [await makeKey('alias/edited'), await makeKey('alias/due')]
    byHand(["UPDATE keys SET state = 'PendingDeletion', deletion_at_ms = 1 WHERE id = ?", edited])
    await kms().scheduleKeyDeletion({ KeyId: due, PendingWindowInDays: 7 })
    clock.offsetMs += 8 * DAY_MS
    expect(await daemon.deleteDueKeys()).toBe(1)
    expect(select('SELECT id FROM keys WHERE id IN (?, ?)', edited, due)).toEqual([{ id: edited }])
    expect(refusals).toContainEqual(expect.objectContaining({ table: 'keys', primaryKey: keyOf(edited) }))
  })

  it('is found by the sweep, though nobody asks for it', async () => {
    const keyId = await makeKey('alias/unused')
    byHand(["UPDATE keys SET description = 'edited' WHERE id = ?", keyId])
    await waitUntil(() => refusals.some(({ primaryKey }) => primaryKey === keyOf(keyId)), NOTICE_MS * 3)
  })
})

describe('a record that is put back', () => {
  it('is refused: a revoked grant, with the MAC that its key had, too', async () => {
    const keyId = await makeKey('alias/lent')
    const grantee = `arn:aws:iam::${ACCOUNT}:user/admin`
    const { GrantId } = await kms().createGrant({ KeyId: keyId, GranteePrincipal: grantee, Operations: ['Decrypt'] })
    const [grant] = select('SELECT * FROM grants WHERE id = ?', GrantId)
    const mac = macOf('keys', keyOf(keyId))
    await kms().revokeGrant({ KeyId: keyId, GrantId: GrantId! })
    const call = () => kms().describeKey({ KeyId: keyId })
    await call()
    // The key with its grant, whole, as it once was: only the ledger tells that it is old.
    const current = macOf('keys', keyOf(keyId))
    byHand(insertion('grants', grant!), insertion('row_macs', mac))
    await waitUntil(async () => (await errorOf(call))?.name === INTERNAL.name, NOTICE_MS)
    expect(refusals).toContainEqual(
      expect.objectContaining({ primaryKey: keyOf(keyId), reason: expect.stringMatching(/written last/) }),
    )
    byHand(insertion('row_macs', current))
    await expectRefused(call, INTERNAL, 'keys', keyOf(keyId))
  })

  it('is refused: an old policy with its old MAC', async () => {
    const dan = await makeUser('dan', 'kms:*')
    const [policy] = select('SELECT * FROM identity_policies WHERE principal_id = ?', dan.principalId)
    const [row] = select('SELECT * FROM identities WHERE principal_id = ?', dan.principalId)
    const mac = macOf('identities', dan.principalId)
    await dan.client().listKeys({})
    await identity('user', 'delete-policy', 'dan', 'Own')
    await expect(dan.client().listKeys({})).rejects.toMatchObject({ name: 'AccessDeniedException' })
    const generation: Statement = [
      'UPDATE identities SET generation = ? WHERE principal_id = ?',
      row!.generation,
      dan.principalId,
    ]
    byHand(insertion('identity_policies', policy!), generation, insertion('row_macs', mac))
    await waitUntil(async () => (await errorOf(() => dan.client().listKeys({})))?.name === UNKNOWN.name, NOTICE_MS)
    expect(refusals).toContainEqual(expect.objectContaining({ table: 'identities', primaryKey: dan.principalId }))
  })

  it('is refused: a deleted key', async () => {
    const keyId = await makeKey('alias/doomed')
    const rows = ['keys', 'materials', 'tags'].map(table => {
      const column = table === 'keys' ? 'id' : 'key_id'
      return { table, rows: select(`SELECT * FROM ${table} WHERE ${column} = ?`, keyId) }
    })
    const mac = macOf('keys', keyOf(keyId))
    await kms().scheduleKeyDeletion({ KeyId: keyId, PendingWindowInDays: 7 })
    clock.offsetMs += 8 * DAY_MS
    expect(await daemon.deleteDueKeys()).toBe(1)
    const call = () => kms().describeKey({ KeyId: keyId })
    await expect(call()).rejects.toMatchObject({ name: 'NotFoundException' })
    const gone = macOf('keys', keyOf(keyId))
    const putBack = rows.flatMap(({ table, rows: found }) => found.map(row => insertion(table, row)))
    byHand(...putBack, insertion('row_macs', mac))
    await waitUntil(async () => (await errorOf(call))?.name === INTERNAL.name, NOTICE_MS)
    byHand(insertion('row_macs', gone))
    await expectRefused(call, INTERNAL, 'keys', keyOf(keyId))
  })
})

describe('the row of a domain that was changed by hand', () => {
  const change = "UPDATE domains SET sealed = 1 - sealed, generation = generation + 1 WHERE region = 'on-prem-1'"
  const undo = "UPDATE domains SET sealed = 1 - sealed, generation = generation - 1 WHERE region = 'on-prem-1'"
  const named = expect.objectContaining({ table: 'domains', primaryKey: REGION })

  it('is refused and named while the daemon serves on as it was told before', async () => {
    refusals = []
    byHand([change])
    // Others that were changed by hand before may still be named, too.
    await waitUntil(
      () => refusals.some(({ table, primaryKey }) => table === 'domains' && primaryKey === REGION),
      NOTICE_MS,
    )
    await kms().listKeys({})
    expect(await instance.run(['domain', 'rotate', '--so-pin-file', instance.officerPinFile])).toMatchObject({
      ...{ code: 1, stderr: expect.stringMatching(/domains on-prem-1: its MAC does not match it/) },
    })
  })

  it('lets nothing be served after a start, until it is as it was', async () => {
    await daemon[Symbol.asyncDispose]()
    refusals = []
    daemon = await composeDaemon(instance, path, { clock, logger, serving: false })
    await expect(daemon.whenReady(30_000)).rejects.toMatchObject({ name: 'RowRefused', table: 'domains' })
    expect(refusals).toContainEqual(named)
    await expect(kms().listKeys({})).rejects.toMatchObject(UNKNOWN)
    byHand([undo])
    await restart()
    await kms().listKeys({})
  })
})

describe('a store whose MACs were removed', () => {
  it('is not served, and not signed as it is: the tokens remember that it had them', async () => {
    await daemon[Symbol.asyncDispose]()
    const kept = select('SELECT * FROM row_macs')
    byHand(['DELETE FROM row_macs'])
    await expect(start()).rejects.toThrow(/carry no MACs: run "strongroom init"/)
    expect(await instance.run(['init'])).toMatchObject({ code: 1, stderr: expect.stringMatching(/key store is older/) })
    expect(select('SELECT count(*) AS macs FROM row_macs')).toEqual([{ macs: 0 }])
    byHand(...kept.map(row => insertion('row_macs', row)))
    await start()
    await kms().listKeys({})
  })
})
