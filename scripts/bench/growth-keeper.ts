/**
 * Child process: an instance whose store is filled while its daemon rests. It has everything in a folder of its own, which
 * goes when whoever wanted it is gone; the daemon ends with this process.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openKeyStore } from '../../src/cli/open-key-store.ts'
import { loadConfiguration } from '../../src/config/load.ts'
import { openStateFolder } from '../../src/config/state-folder.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { prepareInstance, type RunningDaemon, readCredentials, startDaemon } from '../instance.ts'
import { answer } from './child.ts'
import type { Credentials } from './sigv4.ts'
import { fillStore } from './store-filler.ts'

const REGION = 'on-prem-1'
const ACCOUNT = '000000000001'
const TOKENS = 2
const BYTES_PER_KILOBYTE = 1_024

export interface Memory {
  readonly bytes: number
  readonly peakBytes: number
}

const dir = mkdtempSync(join(tmpdir(), 'strongroom-growth-'))
const never = new AbortController().signal
let configurationPath = ''
/** Of the keys in the store. */
const ids: string[] = []
let daemon: RunningDaemon | undefined

/** Resident memory as the kernel counts it, and the most that it ever was. */
function memoryOf(pid: number): Memory {
  const status = readFileSync(`/proc/${pid}/status`, 'latin1')
  const bytes = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) * BYTES_PER_KILOBYTE
  return { bytes: bytes('VmRSS'), peakBytes: bytes('VmHWM') }
}

async function stop(): Promise<void> {
  const running = daemon
  daemon = undefined
  if (running === undefined) return
  running.child.kill('SIGTERM')
  await running.ended
}

const answers = {
  async prepare(_: null): Promise<Credentials> {
    const plan = { dir, regions: [REGION], tokensPerRegion: TOKENS, port: 0, adminPort: 0, account: ACCOUNT }
    configurationPath = await prepareInstance(plan, never)
    return { ...readCredentials(dir), region: REGION }
  },

  /** Starts the daemon; `readyMs` is from there to its being ready to serve. */
  async serve(_: null): Promise<{ endpoint: string; pid: number; readyMs: number }> {
    const startedAt = performance.now()
    daemon = await startDaemon(configurationPath, never)
    return { endpoint: daemon.endpoint, pid: daemon.child.pid!, readyMs: Math.round(performance.now() - startedAt) }
  },

  memory(_: null): Memory {
    return memoryOf(daemon!.child.pid!)
  },

  stop(_: null): Promise<void> {
    return stop()
  },

  /** Fills the store up to so many keys; returns the ids of some of them. */
  async fill({
    keys,
    templateKeyId,
    inUse,
  }: {
    keys: number
    templateKeyId: string
    inUse: number
  }): Promise<string[]> {
    const configuration = loadConfiguration(configurationPath)
    const path = openStateFolder(configuration.stateDir).store
    await using resources = new AsyncDisposableStack()
    const opened = await openKeyStore(configuration, { path, logger: createLogger('warn') }, resources)
    const template = { region: REGION, account: ACCOUNT, id: templateKeyId }
    const pool = (await opened.pools.poolOf(REGION))!
    if (ids.length === 0) ids.push(templateKeyId)
    const added = await fillStore({ ...opened, path, pool, template }, keys - ids.length, count =>
      process.stderr.write(`${count.toLocaleString('en')} more\n`),
    )
    // One by one: a million arguments are more than a call takes.
    for (const id of added) ids.push(id)
    // From all over the store.
    return Array.from({ length: inUse }, (_, at) => ids[Math.floor((at * ids.length) / inUse)]!)
  },
}
export type GrowthKeeper = typeof answers

// A terminal's Ctrl-C reaches this process too: it stays until the daemon has ended.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})

answer(answers, async () => {
  await stop()
  rmSync(dir, { recursive: true, force: true })
})
