/**
 * Child process: an instance whose store is filled while its daemon rests. It has everything in a folder of its own, which
 * goes when whoever wanted it is gone; the daemon ends with this process.
 */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { homeOf } from '../../src/compose-pools.ts'
import { PoolsOnDemand, protectRows } from '../../src/compose-rows.ts'
import { loadConfiguration } from '../../src/config/load.ts'
import { openStateFolder } from '../../src/config/state-folder.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/store.ts'
import { createLogger } from '../../src/telemetry/logger.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import { prepareInstance, type RunningDaemon, readCredentials, startDaemon } from '../instance.ts'
import { answer } from './child.ts'
import type { Credentials } from './sigv4.ts'
import { StoreFiller } from './store-filler.ts'

const REGION = 'on-prem-1'
const ACCOUNT = '000000000001'
const TOKENS = 2
const BYTES_PER_KILOBYTE = 1_024

const dir = mkdtempSync(join(tmpdir(), 'strongroom-growth-'))
const never = new AbortController().signal
let configurationPath = ''
/** Of the keys in the store. */
const ids = new Set<string>()
let daemon: RunningDaemon | undefined

/** Resident memory as the kernel counts it. */
function residentBytes(pid: number): number {
  return Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]) * BYTES_PER_KILOBYTE
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

  memory(_: null): number {
    return residentBytes(daemon!.child.pid!)
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
    const logger = createLogger('warn')
    await using resources = new AsyncDisposableStack()
    const pools = resources.use(new PoolsOnDemand(homeOf(configuration), configuration, { store: () => store, logger }))
    const rows = protectRows(pools, { metrics: new Metrics(), logger })
    const store: Store = await openStore({ path: openStateFolder(configuration.stateDir).store, rows })
    resources.defer(() => store.close())
    const template = await store.reader.findKey({ region: REGION, account: ACCOUNT }, templateKeyId)
    const filler = new StoreFiller(store, (await pools.poolOf(REGION))!, template!)
    ids.add(templateKeyId)
    const added = await filler.add(keys - ids.size, count =>
      process.stderr.write(`${count.toLocaleString('en')} more\n`),
    )
    for (const id of added) ids.add(id)
    return [...ids].slice(0, inUse)
  },
}
export type GrowthKeeper = typeof answers

// A terminal's Ctrl-C reaches this process too: it stays until the daemon has ended.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})

answer(answers, async () => {
  await stop()
  rmSync(dir, { recursive: true, force: true })
})
