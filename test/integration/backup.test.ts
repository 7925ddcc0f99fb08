/**
 * Copies of the key store: made under load, checked, put back; older ones refused, by hand and by the command, until an
 * operator accepts one. Then 100 records are changed at random. Tests 10 (at start) and 18 of security.md 6 are near.
 */
import { createHash, randomInt } from 'node:crypto'
import { copyFileSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import { type Instance, makeInstance, type Serving } from '../support/instance.ts'
import { startLoad } from '../support/load.ts'
import { waitUntil } from '../support/processes.ts'
import { REGION } from '../support/tokens.ts'

const KEYS_BEFORE = 115
const KEYS_DURING = 5
const CHANGES = 100
const PATIENCE_MS = 240_000

// Commands start hosts of their own, and machines are busy.
jest.setTimeout(300_000)

interface Acknowledged {
  readonly keyId: string
  readonly blob: Uint8Array
}

let instance: Instance
let configuration: string
let daemon: Serving | undefined
let credentials: ReturnType<typeof readCredentials>
/** Made before the first backup began. */
let early: Acknowledged[]
/** Made before the daemon was stopped. */
const all: Acknowledged[] = []
let underLoad: string
let afterwards: string
const clients: KMS[] = []

beforeAll(async () => {
  instance = await makeInstance(['a'])
  configuration = instance.configure(['a'])
  expect(await instance.init()).toMatchObject({ code: 0 })
  credentials = readCredentials(instance.stateDir)
  mkdirSync(join(instance.folder, 'backups'))
})

afterAll(async () => {
  for (const client of clients) client.destroy()
  await stop()
  instance?.remove()
})

async function serve(): Promise<KMS> {
  daemon = await instance.serve()
  return clientOf(daemon.endpoint)
}

function clientOf(endpoint: string): KMS {
  const client = new KMS({ endpoint, region: REGION, credentials, maxAttempts: 1 })
  clients.push(client)
  return client
}

async function stop(): Promise<void> {
  const stopping = daemon
  daemon = undefined
  if (stopping === undefined) return
  process.kill(stopping.pid, 'SIGTERM')
  expect(await stopping.ended).toBe(0)
}

/** The same tokens with another state folder. */
function moveTo(folder: string): string {
  const stateDir = join(instance.folder, folder)
  instance.configure(['a'], { stateDir })
  return stateDir
}

async function opens(kms: KMS, { keyId, blob }: Acknowledged): Promise<void> {
  const { Plaintext } = await kms.decrypt({ CiphertextBlob: blob })
  expect(Buffer.from(Plaintext!).toString()).toBe(keyId)
}

async function makeKey(kms: KMS): Promise<void> {
  const { KeyId } = (await kms.createKey({ Tags: [{ TagKey: 'team', TagValue: 'billing' }] })).KeyMetadata!
  const { CiphertextBlob } = await kms.encrypt({ KeyId: KeyId!, Plaintext: Buffer.from(KeyId!) })
  all.push({ keyId: KeyId!, blob: CiphertextBlob! })
}

describe('a backup', () => {
  it('is made while keys are, for this user alone, and again when the daemon is down', async () => {
    const kms = await serve()
    const load = startLoad(2, () => makeKey(kms))
    await waitUntil(() => all.length >= KEYS_BEFORE, PATIENCE_MS)
    early = [...all]
    const made = await instance.run(['backup', join(instance.folder, 'backups'), '--output', 'json'])
    await waitUntil(() => all.length >= early.length + KEYS_DURING, PATIENCE_MS)
    expect((await load.stop()).failures).toEqual([])
    expect(made).toMatchObject({ code: 0 })
    underLoad = JSON.parse(made.stdout).path
    await stop()
    afterwards = join(instance.folder, 'afterwards.db')
    expect(await instance.run(['backup', afterwards])).toMatchObject({ code: 0 })
    for (const file of [underLoad, afterwards, `${afterwards}.manifest`])
      expect(statSync(file).mode & 0o777).toBe(0o600)
    expect(readdirSync(join(instance.folder, 'backups'))).toHaveLength(2)
    // The other one is looked at when it is restored.
    expect(await instance.run(['backup', underLoad, '--check'])).toMatchObject({ code: 0 })
    expect(await instance.run(['backup', afterwards])).toMatchObject({
      code: 1,
      stderr: expect.stringMatching(/already/),
    })
  })

  it.each([
    [
      'a byte of the copy',
      ['restore'],
      '',
      (bytes: Buffer) => void bytes.writeUInt8(bytes.at(5_000)! ^ 1, 5_000),
      /not what was copied/,
    ],
    ['its length', ['check'], '', (bytes: Buffer) => bytes.subarray(0, -1), /bytes, and its manifest says/],
    [
      'the moment in the manifest',
      ['check', 'restore'],
      '.manifest',
      (bytes: Buffer) => Buffer.from(bytes.toString().replace(/"madeAtMs": \d/, '"madeAtMs": 9')),
      /manifest of .* was changed/,
    ],
  ])('is refused when somebody changed %s', async (_what, commands, suffix, change, reason) => {
    const copy = join(instance.folder, 'changed.db')
    for (const each of ['', '.manifest']) copyFileSync(afterwards + each, copy + each)
    const bytes = readFileSync(copy + suffix)
    writeFileSync(copy + suffix, change(bytes) ?? bytes)
    const refused = { code: 1, stderr: expect.stringMatching(reason) }
    if (commands.includes('check')) expect(await instance.run(['backup', copy, '--check'])).toMatchObject(refused)
    if (!commands.includes('restore')) return
    const stateDir = moveTo('never')
    expect(await instance.run(['restore', copy])).toMatchObject(refused)
    expect(readdirSync(stateDir)).not.toContain('strongroom.db')
    moveTo('state')
  })

  it('opens everything in a new folder', async () => {
    moveTo('second')
    expect(await instance.run(['restore', afterwards])).toMatchObject({ code: 0 })
    const kms = await serve()
    for (const key of all) await opens(kms, key)
    const { stderr } = await instance.run(['restore', afterwards, '--replace'])
    expect(stderr).toMatch(/a daemon is running/)
    await kms.createKey({})
    await stop()
  })
})

describe('an older key store', () => {
  it('is refused at start, and named: the first folder, after the second has gone on', async () => {
    moveTo('state')
    const child = instance.start(['serve', '--config', configuration])
    let log = ''
    child.stderr!.setEncoding('utf8').on('data', text => {
      log += text
    })
    const entry = (message: string) => {
      const line = log.split('\n').find(each => each.includes(`"message":"${message}"`) && each.endsWith('}'))
      return line === undefined ? undefined : JSON.parse(line)
    }
    await waitUntil(
      () => entry('nothing is served from a key store that is older than it may be') !== undefined,
      PATIENCE_MS,
    )
    const { endpoint, adminEndpoint } = entry('listening')
    const readiness = await fetch(`${adminEndpoint}/readyz`)
    expect(readiness.status).toBe(503)
    expect(await readiness.json()).toMatchObject({ obstacles: [expect.stringMatching(/key store is older/)] })
    await expect(clientOf(endpoint).listKeys({})).rejects.toThrow()
    child.kill('SIGTERM')
    await waitUntil(() => child.exitCode !== null, PATIENCE_MS)
    expect(entry('ready')).toBeUndefined()
    const { code, stdout } = await instance.run(['store', 'verify', '--output', 'json'])
    expect(code).toBe(1)
    expect(JSON.parse(stdout).findings).toMatchObject([{ table: 'ledger_heads', primaryKey: REGION }])
  })

  it('is restored only when an operator accepts it, which is recorded; the lost one is then the older', async () => {
    const stateDir = moveTo('second')
    expect(await instance.run(['restore', underLoad])).toMatchObject({ stderr: expect.stringMatching(/--replace/) })
    expect(await instance.run(['restore', underLoad, '--replace'])).toMatchObject({
      ...{ code: 1, stderr: expect.stringMatching(/older than what the tokens remember/) },
    })
    expect(readdirSync(stateDir).filter(name => name.includes('.replaced-'))).toEqual([])
    expect(await instance.run(['restore', underLoad, '--replace', '--accept-older'])).toMatchObject({ code: 0 })
    const { stdout } = await instance.run(['domain', 'history'])
    expect(stdout).toMatch(/accepted an older key store/)
    const kms = await serve()
    for (const key of early) await opens(kms, key)
    await stop()
    const replaced = readdirSync(stateDir).find(name => name.includes('.replaced-') && !name.endsWith('m'))
    mkdirSync(join(instance.folder, 'third'), { mode: 0o700 })
    copyFileSync(join(stateDir, replaced!), join(instance.folder, 'third', 'strongroom.db'))
    moveTo('third')
    const { findings } = JSON.parse((await instance.run(['store', 'verify', '--output', 'json'])).stdout)
    expect(findings).toMatchObject([{ reason: expect.stringMatching(/older/) }])
  })
})

describe('100 records that are changed at random', () => {
  it('are refused and named, and the others are served', async () => {
    const stateDir = moveTo('second')
    const changed = early.slice(0, CHANGES)
    const others = early.slice(CHANGES)
    const changes: string[] = []
    const database = new DatabaseSync(join(stateDir, 'strongroom.db'))
    for (const { keyId } of changed) changes.push(changeAtRandom(database, keyId))
    database.close()
    const { code, stdout } = await instance.run(['store', 'verify', '--output', 'json'])
    expect(code).toBe(1)
    const named = new Set((JSON.parse(stdout).findings as { primaryKey: string }[]).map(each => each.primaryKey))
    const missed = changes.filter((_change, at) => ![...named].some(name => name.includes(changed[at]!.keyId)))
    expect(missed).toEqual([])
    expect([...named].filter(name => others.some(({ keyId }) => name.includes(keyId)))).toEqual([])
    const kms = await serve()
    const served: string[] = []
    for (const [at, key] of changed.entries())
      await kms.decrypt({ CiphertextBlob: key.blob }).then(
        () => served.push(changes[at]!),
        () => {},
      )
    expect(served).toEqual([])
    for (const key of others) await opens(kms, key)
  })
})

describe('a backup from before a rotation of the domain', () => {
  const rotate = (...args: string[]) =>
    instance.run(['domain', 'rotate', '--so-pin-file', instance.officerPinFile, ...args])

  it('opens everything again, by a rotation of its own', async () => {
    await stop()
    moveTo('fourth')
    // The store of the second folder was changed by hand, and is given up.
    expect(await instance.run(['restore', underLoad, '--accept-older'])).toMatchObject({ code: 0 })
    expect(await rotate()).toMatchObject({ code: 0 })
    const unable = await instance.run(['restore', underLoad, '--replace', '--accept-older'])
    expect(unable).toMatchObject({ code: 1, stderr: expect.stringMatching(/does not hold strongroom\/dk\.1\.gen/) })
    expect(await instance.run(['restore', underLoad, '--replace', '--before-rotation'])).toMatchObject({ code: 0 })
    expect(await rotate('--accept-older')).toMatchObject({ code: 0 })
    const kms = await serve()
    for (const key of early.slice(0, 10)) await opens(kms, key)
    await stop()
    expect(await instance.run(['store', 'verify'])).toMatchObject({ code: 0 })
  })

  it('stays where it is when it says who approves ceremonies, for which no token vouches', async () => {
    const copy = join(instance.folder, 'controlled.db')
    copyFileSync(underLoad, copy)
    const database = new DatabaseSync(copy)
    database.exec("INSERT INTO dual_control (id, threshold, generation) VALUES ('ceremonies', 1, 1)")
    database.close()
    const bytes = readFileSync(copy)
    const sha256 = createHash('sha256').update(bytes).digest('hex')
    const manifest = JSON.parse(readFileSync(`${underLoad}.manifest`, 'utf8'))
    writeFileSync(`${copy}.manifest`, JSON.stringify({ ...manifest, bytes: bytes.length, sha256 }))
    const stateDir = moveTo('never')
    expect(await instance.run(['restore', copy, '--before-rotation'])).toMatchObject({
      ...{ code: 1, stderr: expect.stringMatching(/no token vouches/) },
    })
    expect(readdirSync(stateDir)).not.toContain('strongroom.db')
    moveTo('fourth')
  })

  it('opens nothing once the version that it is under was destroyed', async () => {
    const destroyed = await instance.run(['domain', 'destroy-version', '--version', '1', '--force-before-retention'])
    expect(destroyed).toMatchObject({ code: 0 })
    const stateDir = moveTo('fifth')
    expect(await instance.run(['restore', underLoad, '--accept-older'])).toMatchObject({ code: 1 })
    expect(readdirSync(stateDir)).not.toContain('strongroom.db')
    expect(await instance.run(['restore', underLoad, '--before-rotation'])).toMatchObject({ code: 0 })
    expect(await rotate('--accept-older')).toMatchObject({ code: 1, stderr: expect.stringMatching(/dk\.1 and mac\.1/) })
  })
})

/** One value of one row of the key, or of its MAC, is another, or the row is gone. Says what it did. */
function changeAtRandom(database: DatabaseSync, keyId: string): string {
  const row = pick([
    { table: 'keys', where: 'id', fixed: ['region', 'account', 'id'], droppable: false },
    { table: 'materials', where: 'key_id', fixed: ['region', 'account', 'key_id'], droppable: true },
    { table: 'tags', where: 'key_id', fixed: ['region', 'account', 'key_id'], droppable: true },
    {
      ...{ table: 'row_macs', where: "replace(primary_key, 'on-prem-1/000000000001/', '')" },
      ...{ fixed: ['table_name', 'primary_key'], droppable: true },
    },
  ])
  const found = database.prepare(`SELECT * FROM ${row.table} WHERE ${row.where} = ?`).get(keyId) as Record<
    string,
    SQLInputValue
  >
  if (row.droppable && randomInt(5) === 0) {
    database.prepare(`DELETE FROM ${row.table} WHERE ${row.where} = ?`).run(keyId)
    return `${row.table} of ${keyId} removed`
  }
  const column = pick(Object.keys(found).filter(name => !row.fixed.includes(name)))
  const value = another(found[column] ?? null)
  database.prepare(`UPDATE ${row.table} SET ${column} = ? WHERE ${row.where} = ?`).run(value, keyId)
  return `${row.table}.${column} of ${keyId}`
}

function another(value: SQLInputValue): SQLInputValue {
  if (value === null) return 1
  if (typeof value === 'number' || typeof value === 'bigint') return Number(value) + 1
  if (typeof value === 'string') return `${value} `
  const bytes = Buffer.from(value as Uint8Array)
  if (bytes.length === 0) return Buffer.from([1])
  const at = randomInt(bytes.length)
  bytes.writeUInt8(bytes.at(at)! ^ (1 << randomInt(8)), at)
  return bytes
}

function pick<T>(values: readonly T[]): T {
  return values[randomInt(values.length)]!
}
