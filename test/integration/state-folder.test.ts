/**
 * One owner for a state folder: daemons that are started at once, a daemon that is started while another one ends, and one
 * that is started while a copy of the key store is put back. Each would leave an audit log that never verifies, or lose what it
 * has acknowledged.
 */
import { execFileSync } from 'node:child_process'
import { constants, copyFileSync, readFileSync, renameSync, statSync } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { join } from 'node:path'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { readCredentials } from '../../scripts/instance.ts'
import { isListening } from '../../src/base/unix-socket.ts'
import { type Instance, makeInstance, type Serving } from '../support/instance.ts'
import { isAlive, waitUntil } from '../support/processes.ts'
import { REGION } from '../support/tokens.ts'

const ACCOUNT = '000000000001'
const PATIENCE_MS = 240_000

// Every daemon and every command starts hosts of its own, and machines are busy.
jest.setTimeout(600_000)

describe('a state folder', () => {
  let instance: Instance
  let configuration: string

  beforeAll(async () => {
    instance = await makeInstance(['a'])
    configuration = instance.configure(['a'])
    expect(await instance.init()).toMatchObject({ code: 0 })
  })

  afterAll(() => instance?.remove())

  const state = (name: string) => join(instance.stateDir, name)

  /** A daemon that may have to wait for its turn: what it says meanwhile, and how far it is. */
  function startToServe(): { log(): string; begun(): boolean; ready(): boolean; stop(): Promise<void> } {
    const child = instance.start(['serve', '--config', configuration])
    const ended = new Promise<number | null>(resolve => child.once('close', resolve))
    let log = ''
    child.stderr!.setEncoding('utf8').on('data', text => {
      log += text
    })
    return {
      log: () => log,
      begun: () => log.includes('"message":"listening"'),
      ready: () => log.includes('"message":"ready"'),
      async stop() {
        child.kill('SIGTERM')
        expect(await ended).toBe(0)
      },
    }
  }

  async function stop({ pid, ended }: Serving): Promise<void> {
    process.kill(pid, 'SIGTERM')
    expect(await ended).toBe(0)
  }

  /** Whole; 3: and the newest events wait for their checkpoint. */
  async function expectWholeLog(): Promise<void> {
    const { code, stdout, stderr } = await instance.run(['audit', 'verify'])
    expect({ whole: [0, 3].includes(code), stdout, stderr }).toMatchObject({ whole: true })
  }

  it('has one daemon, when two are started at once', async () => {
    const started = await Promise.allSettled([instance.serve(), instance.serve()])
    const serving = started.flatMap(each => (each.status === 'fulfilled' ? [each.value] : []))
    const refused = started.flatMap(each => (each.status === 'rejected' ? [String(each.reason)] : []))
    expect(refused).toEqual([expect.stringMatching(/(is running with this state folder|is in use)/)])
    expect(refused[0]).toContain(instance.stateDir)
    expect(statSync(state('lock')).mode & 0o777).toBe(0o600)
    await stop(serving[0]!)
    await expectWholeLog()
  })

  it('is not had by another daemon before the one that ends has written its last event', async () => {
    const ending = await instance.serve()
    const every = [ending.pid, ...ending.hsmHostPids]
    const signal = (name: NodeJS.Signals, pids: readonly number[]) => {
      for (const pid of pids.filter(isAlive)) process.kill(pid, name)
    }
    // Its tokens do not answer: it gets no further than to the anchors, and its admin socket is closed by then.
    signal('SIGSTOP', ending.hsmHostPids)
    signal('SIGTERM', [ending.pid])
    await waitUntil(async () => !(await isListening(state('admin.sock'))), PATIENCE_MS)
    signal('SIGSTOP', [ending.pid])
    const next = startToServe()
    await waitUntil(() => next.begun() || next.log().includes('waiting for the state folder'), PATIENCE_MS)
    expect(next.begun()).toBe(false)
    signal('SIGCONT', every)
    expect(await ending.ended).toBe(0)
    await waitUntil(() => next.ready(), PATIENCE_MS, next.log)
    await next.stop()
    await expectWholeLog()
  })

  it('is not had by a daemon while a copy is put back, so that nothing is lost that it acknowledges', async () => {
    const copy = join(instance.folder, 'copy.db')
    expect(await instance.run(['backup', copy])).toMatchObject({ code: 0 })
    // The command looks at the manifest first, and waits for it here.
    const manifest = `${copy}.manifest`
    copyFileSync(manifest, `${manifest}.kept`)
    const pipe = join(instance.folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    renameSync(pipe, manifest)
    const restoring = instance.run(['restore', copy, '--replace'])
    let writing: FileHandle | undefined
    // Fails until somebody reads, and blocks nobody.
    const opens = constants.O_WRONLY | constants.O_NONBLOCK
    const isRead = async () => {
      writing = await open(manifest, opens).catch(() => undefined)
      return writing !== undefined
    }
    await waitUntil(isRead, PATIENCE_MS)
    const next = startToServe()
    await waitUntil(() => next.begun() || next.log().includes('waiting for the state folder'), PATIENCE_MS)
    expect(next.begun()).toBe(false)
    await writing!.writeFile(readFileSync(`${manifest}.kept`))
    await writing!.close()
    expect(await restoring).toMatchObject({ code: 0 })
    await waitUntil(() => next.ready(), PATIENCE_MS, next.log)
    const { endpoint } = JSON.parse(
      next
        .log()
        .split('\n')
        .find(line => line.includes('"message":"ready"'))!,
    )
    const kms = new KMS({ endpoint, region: REGION, credentials: readCredentials(instance.stateDir), maxAttempts: 1 })
    const { KeyId } = (await kms.createKey({})).KeyMetadata!
    kms.destroy()
    await next.stop()
    const stored = await instance.withStore(store => store.reader.findKey({ region: REGION, account: ACCOUNT }, KeyId!))
    expect(stored).toBeDefined()
  })
})
