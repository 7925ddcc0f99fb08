/**
 * A whole Strongroom on SoftHSM tokens: its folder, configuration, tokens, domains, first user, and its daemon as a child
 * process. `./scripts/start` and the sandbox are both this; what they do differently stands in their own files.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parse, stringify } from 'yaml'
import { makeSoftTokens } from '../softhsm/tokens.ts'
import { checkConfiguration } from '../src/config/load.ts'
import type { TokenLocation } from '../src/hsm/contract/host-configuration.ts'
import type { ReadyMessage } from '../src/main.ts'

const CLI = fileURLToPath(new URL('../src/cli/main.ts', import.meta.url))
/** As scripts/strongroom has them, and for its reasons. */
const NODE_OPTIONS = ['--disable-warning=ExperimentalWarning', '--min-semi-space-size=32', '--max-semi-space-size=32']
const CONFIGURATION_FILE = 'strongroom.yaml'
const READY_MS = 60_000
const STDERR = 2

export interface InstancePlan {
  /** The state folder; tokens and configuration are made in it. */
  readonly dir: string
  readonly regions: readonly string[]
  readonly tokensPerRegion: number
  readonly port: number
  readonly adminPort: number
  readonly account?: string | undefined
  /** More of the configuration, as a file would have it. */
  readonly settings?: Readonly<Record<string, unknown>>
  /** Puts something before a token that was made: the configuration names what this returns. */
  readonly through?: (location: TokenLocation, label: string) => TokenLocation
  /** The file descriptor for what `init` has to say; stderr by default. */
  readonly log?: number
}

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
}

/** Makes what is missing and runs `strongroom init`. Returns the configuration file; throws when `signal` ends it. */
export async function prepareInstance(plan: InstancePlan, signal: AbortSignal): Promise<string> {
  mkdirSync(plan.dir, { recursive: true, mode: 0o700 })
  const path = join(plan.dir, CONFIGURATION_FILE)
  const labels = plan.regions.map(region =>
    Array.from({ length: plan.tokensPerRegion }, (_, at) => `${region}-${at + 1}`),
  )
  const { locations: made, officerPinFile } = await makeSoftTokens(join(plan.dir, 'hsm'), labels.flat())
  if (!existsSync(path)) {
    const { through = location => location } = plan
    const locations = made.map((location, at) => through(location, labels.flat()[at]!))
    const regions = plan.regions.map((name, index) => ({
      name,
      tokens: locations.slice(index * plan.tokensPerRegion, (index + 1) * plan.tokensPerRegion),
    }))
    const document = {
      ...plan.settings,
      stateDir: plan.dir,
      ...(plan.account === undefined ? {} : { account: plan.account }),
      listen: { ...(plan.settings?.listen as object | undefined), host: '127.0.0.1', port: plan.port },
      admin: { host: '127.0.0.1', port: plan.adminPort },
      regions,
    }
    checkConfiguration(document, path)
    writeFileSync(path, stringify(document), { mode: 0o600 })
  }
  signal.throwIfAborted()
  await run(['init', '--config', path, '--so-pin-file', officerPinFile], plan.log ?? STDERR, signal)
  return path
}

/** What a configuration file says, but for what is an instance's own: its folder, ports and tokens. */
export function readSettings(path: string): Record<string, unknown> {
  const { stateDir, regions, admin, ...settings } = (parse(readFileSync(path, 'utf8')) ?? {}) as Record<string, unknown>
  return settings
}

/** The first access key, which `init` wrote. */
export function readCredentials(dir: string): Credentials {
  const text = readFileSync(join(dir, 'credentials'), 'utf8')
  const value = (name: string) => new RegExp(`^${name}\\s*=\\s*(\\S+)`, 'm').exec(text)?.[1] ?? ''
  return { accessKeyId: value('aws_access_key_id'), secretAccessKey: value('aws_secret_access_key') }
}

export interface RunningDaemon extends ReadyMessage {
  readonly child: ChildProcess
  /** Resolves with its exit code, or the signal that ended it. */
  readonly ended: Promise<number | NodeJS.Signals>
}

/**
 * Starts the daemon and waits until it can serve. Its logs go to `log`, a file descriptor. `signal` tells it to stop, at any
 * time; what it was doing then is over when `ended` resolves, or when this throws.
 */
export async function startDaemon(
  configurationPath: string,
  signal: AbortSignal,
  log = STDERR,
): Promise<RunningDaemon> {
  const child = fork(CLI, ['serve', '--config', configurationPath], {
    execArgv: NODE_OPTIONS,
    env: daemonEnvironment(),
    stdio: ['ignore', log, log, 'ipc'],
    signal,
  })
  child.on('error', onlyAborted)
  const ended = new Promise<number | NodeJS.Signals>(resolve => {
    child.once('exit', (code, killedBy) => resolve(killedBy ?? code ?? 1))
  })
  const ready = new Promise<ReadyMessage>(resolve => child.once('message', message => resolve(message as ReadyMessage)))
  const impatience = AbortSignal.timeout(READY_MS)
  const late = new Promise<never>((_, reject) => {
    impatience.addEventListener('abort', () => reject(new Error(`the daemon was not ready after ${READY_MS} ms`)))
  })
  try {
    const message = await Promise.race([
      ready,
      late,
      ended.then(how => {
        throw new Error(`the daemon ended (${how}) before it was ready; see its messages`)
      }),
    ])
    return { ...message, child, ended }
  } catch (error) {
    child.kill('SIGTERM')
    await ended
    throw error
  }
}

/** The daemon needs none of what a developer's shell holds, credentials least of all. */
function daemonEnvironment(): NodeJS.ProcessEnv {
  const { PATH, LANG, TZ, HOME } = process.env
  return { PATH, LANG, TZ, HOME }
}

async function run(args: readonly string[], log: number, signal: AbortSignal): Promise<void> {
  const child = spawn(process.execPath, [...NODE_OPTIONS, CLI, ...args], {
    env: daemonEnvironment(),
    stdio: ['ignore', log, log],
    signal,
  })
  child.on('error', onlyAborted)
  const code = await new Promise(resolve => child.once('exit', resolve))
  if (code !== 0) throw new Error(`strongroom ${args[0]} failed; see its messages`)
}

/** A child that was told to stop says so by an error, and then ends like any other. */
function onlyAborted(error: Error): void {
  if (error.name !== 'AbortError') throw error
}
