/** A Strongroom before it runs: tokens, a configuration file and a state folder, and the strongroom command on them. */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { stringify } from 'yaml'
import { makeSoftTokens } from '../../softhsm/tokens.ts'
import { openKeyStore } from '../../src/cli/open-key-store.ts'
import { loadConfiguration } from '../../src/config/load.ts'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/store.ts'
import type { Finished } from './sandbox.ts'
import { makeFolder, REGION, silentLogger } from './tokens.ts'

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))

/** Far more than any command takes on a busy machine: one that hangs fails its test, by name. */
const RUN_MS = 120_000

export interface Instance {
  readonly folder: string
  readonly stateDir: string
  /** By label. */
  readonly locations: Readonly<Record<string, TokenLocation>>
  readonly officerPinFile: string
  /** Writes the configuration: one region with these tokens, on free ports. Returns the file. */
  configure(tokens: readonly (string | TokenLocation)[], settings?: Readonly<Record<string, unknown>>): string
  /** Starts the strongroom command; it is killed with the instance. */
  start(args: readonly string[]): ChildProcess
  /** Runs the strongroom command to its end. Rejects when it does not come to one. */
  run(args: readonly string[], input?: string): Promise<Finished>
  /** `init` with the SO PIN in a file. */
  init(): Promise<Finished>
  /** Starts the daemon; resolves when it can serve, and rejects with its log when it cannot. */
  serve(): Promise<Serving>
  /** What the store says now. No daemon may be running. */
  withStore<T>(use: (store: Store) => Promise<T>): Promise<T>
  /** The same with the tokens of a configuration, which verify and sign. */
  withSignedStore<T>(use: (store: Store) => Promise<T>): Promise<T>
  remove(): void
}

/** A daemon that was started by `strongroom serve`. */
export interface Serving {
  readonly pid: number
  readonly endpoint: string
  readonly adminEndpoint: string
  readonly hsmHostPids: readonly number[]
  log(): string
  /** Its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
}

export async function makeInstance(labels: readonly string[]): Promise<Instance> {
  const folder = makeFolder()
  const stateDir = join(folder.path, 'state')
  const configuration = join(folder.path, 'strongroom.yaml')
  const { locations, officerPinFile } = await makeSoftTokens(join(folder.path, 'hsm'), labels)
  const byLabel = Object.fromEntries(labels.map((label, at) => [label, locations[at]!]))
  const children = new Set<ChildProcess>()

  const start: Instance['start'] = args => {
    const { PATH, HOME, LANG, TZ, STRONGROOM_TEST_RUN } = process.env
    const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CLI, ...args], {
      env: { PATH, HOME, LANG, TZ, STRONGROOM_TEST_RUN },
    })
    children.add(child)
    child.once('close', () => children.delete(child))
    return child
  }
  const runToEnd: Instance['run'] = async (args, input = '') => {
    const child = start([...args, '--config', configuration])
    const output = { stdout: '', stderr: '' }
    for (const name of ['stdout', 'stderr'] as const) {
      child[name]!.setEncoding('utf8').on('data', text => {
        output[name] += text
      })
    }
    child.stdin!.on('error', () => {})
    child.stdin!.end(input)
    let late = false
    const timer = setTimeout(() => {
      late = true
      child.kill('SIGKILL')
    }, RUN_MS)
    const code = await new Promise<number>(resolve => child.once('close', status => resolve(status ?? -1)))
    clearTimeout(timer)
    if (late) throw new Error(`strongroom ${args.join(' ')} did not end within ${RUN_MS} ms:\n${output.stderr}`)
    return { code, ...output }
  }
  const serve: Instance['serve'] = async () => {
    const child = start(['serve', '--config', configuration])
    let log = ''
    const ended: Serving['ended'] = new Promise(resolve => {
      child.once('close', (code, signal) => resolve(signal ?? code ?? 1))
    })
    const ready = new Promise<Pick<Serving, 'endpoint' | 'adminEndpoint' | 'hsmHostPids'>>((resolve, reject) => {
      child.stderr!.setEncoding('utf8').on('data', text => {
        log += text
        const line = log.split('\n').find(each => each.includes('"message":"ready"') && each.endsWith('}'))
        if (line !== undefined) resolve(JSON.parse(line))
      })
      ended.then(() => reject(new Error(`the daemon did not start:\n${log}`)))
    })
    const { endpoint, adminEndpoint, hsmHostPids } = await ready
    return { pid: child.pid!, endpoint, adminEndpoint, hsmHostPids, log: () => log, ended }
  }
  return {
    ...{ folder: folder.path, stateDir, locations: byLabel, officerPinFile, start, run: runToEnd, serve },
    configure(chosen, settings = {}) {
      const tokens = chosen.map(token => (typeof token === 'string' ? byLabel[token] : token))
      const ports = { listen: { port: 0 }, admin: { port: 0 } }
      writeFileSync(configuration, stringify({ stateDir, ...ports, regions: [{ name: REGION, tokens }], ...settings }))
      return configuration
    },
    init: () => runToEnd(['init', '--so-pin-file', officerPinFile]),
    async withStore(use) {
      const store = await openStore({ path: join(stateDir, 'strongroom.db') })
      try {
        return await use(store)
      } finally {
        await store.close()
      }
    },
    async withSignedStore(use) {
      await using resources = new AsyncDisposableStack()
      const opening = { path: join(stateDir, 'strongroom.db'), logger: silentLogger }
      const { store } = await openKeyStore(loadConfiguration(configuration), opening, resources)
      return await use(store)
    },
    remove() {
      for (const child of children) child.kill('SIGKILL')
      folder.remove()
    },
  }
}
