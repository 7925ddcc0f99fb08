/**
 * Copies of the key store of a daemon with several service processes: made under load, before and after one of them was killed,
 * restored into a new folder and into the old one. Whichever it is, its keys open, and its audit log goes on.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import { listLogFiles } from '../../src/audit/log-files.ts'
import type { Verdict } from '../../src/audit/verify.ts'
import type { ReadyMessage } from '../../src/main.ts'
import { openStore } from '../../src/store/open-store.ts'
import { type Instance, makeInstance } from '../support/instance.ts'
import { startLoad } from '../support/load.ts'
import { waitUntil } from '../support/processes.ts'
import { REGION } from '../support/tokens.ts'

const PROCESSES = 2
const KEYS_EACH = 10
const PATIENCE_MS = 240_000

// Commands start hosts of their own, and machines are busy.
jest.setTimeout(300_000)

interface Acknowledged {
  readonly keyId: string
  readonly blob: Uint8Array
}

interface Copy {
  readonly path: string
  /** Made before the copy was. */
  readonly keys: readonly Acknowledged[]
}

let instance: Instance
let stateDir: string
let before: Copy
let after: Copy

beforeAll(async () => {
  instance = await makeInstance(['a'])
  moveTo('state', PROCESSES)
  expect(await instance.init()).toMatchObject({ code: 0 })
  mkdirSync(join(instance.folder, 'backups'))
  await serving(async (kms, pids) => {
    const made: Acknowledged[] = []
    const load = startLoad(2, async () => void made.push(await makeKey(kms)))
    const copy = async (): Promise<Copy> => {
      const atLeast = made.length + KEYS_EACH
      await waitUntil(() => made.length >= atLeast, PATIENCE_MS)
      const keys = [...made]
      const { code, stdout } = await instance.run(['backup', join(instance.folder, 'backups'), '--output', 'json'])
      expect(code).toBe(0)
      return { path: JSON.parse(stdout).path, keys }
    }
    before = await copy()
    process.kill(pids[0]!, 'SIGKILL')
    after = await copy()
    expect((await load.stop()).failures).toEqual([])
  })
  // One more start, with what it needs alone: the first copy is then two starts old.
  moveTo('state', 1)
  await serving(kms => kms.createKey({}))
})

afterAll(() => instance?.remove())

/** The same tokens with a state folder, and so many service processes. */
function moveTo(folder: string, processes: number): void {
  stateDir = join(instance.folder, folder)
  instance.configure(['a'], { stateDir, listen: { port: 0, processes } })
}

/** Runs a daemon, and has it end in order. */
async function serving(use: (kms: KMS, pids: readonly number[]) => Promise<unknown>): Promise<void> {
  const { pid, endpoint, ended, log } = await instance.serve()
  const { servicePids } = JSON.parse(log().match(/^.*"message":"ready".*$/m)![0]) as ReadyMessage
  const credentials = readCredentials(instance.stateDir)
  // Repeats what a connection that broke has cost.
  const kms = new KMS({ endpoint, region: REGION, credentials, maxAttempts: 8 })
  await use(kms, servicePids)
  kms.destroy()
  process.kill(pid, 'SIGTERM')
  expect(await ended).toBe(0)
}

async function makeKey(kms: KMS): Promise<Acknowledged> {
  const keyId = (await kms.createKey({})).KeyMetadata!.KeyId!
  const { CiphertextBlob } = await kms.encrypt({ KeyId: keyId, Plaintext: Buffer.from(keyId) })
  return { keyId, blob: CiphertextBlob! }
}

/** Of the files, or of the key store's copy. */
async function verify(...args: readonly string[]): Promise<Verdict> {
  const { stdout } = await instance.run(['audit', 'verify', '--output', 'json', ...args])
  return JSON.parse(stdout) as Verdict
}

const idsOf = (lines: string) => lines.match(/"eventID":"[^"]+"/g) ?? []

/** The keys of a copy open, and the log that its daemon goes on with is whole: once with what was there, and once with its own. */
async function expectWhole({ keys }: Copy): Promise<void> {
  await serving(async kms => {
    for (const { keyId, blob } of [...keys, await makeKey(kms)]) {
      const { Plaintext } = await kms.decrypt({ CiphertextBlob: blob })
      expect(Buffer.from(Plaintext!).toString()).toBe(keyId)
    }
  })
  expect(await verify('--store')).toMatchObject({ findings: [] })
  expect(await verify()).toMatchObject({ findings: [] })
  const files = (await listLogFiles(join(stateDir, 'audit'))).map(path => readFileSync(path, 'utf8'))
  const stored: string[] = []
  const store = await openStore({ path: join(stateDir, 'strongroom.db') })
  for await (const { lines } of store.audit.blocks()) stored.push(lines.toString())
  await store.close()
  for (const ids of [files, stored].map(lines => lines.flatMap(idsOf))) expect(new Set(ids).size).toBe(ids.length)
}

describe('a copy of the key store of several service processes', () => {
  it('goes on in a new folder, with as many processes, and then with one', async () => {
    moveTo('second', PROCESSES)
    expect(await instance.run(['restore', after.path, '--accept-older'])).toMatchObject({ code: 0 })
    await expectWhole(after)
    moveTo('second', 1)
    await expectWhole(after)
  })

  it('goes on in the folder that has the files of all daemons since', async () => {
    moveTo('state', PROCESSES)
    expect(await instance.run(['restore', before.path, '--replace', '--accept-older'])).toMatchObject({ code: 0 })
    await expectWhole(before)
  })
})
