/**
 * A Strongroom of the test's own, as `npm run sandbox` starts it, and Debian's AWS CLI pointed at it.
 *
 * A sandbox never outlives its test: a shell between the two stops it when the pipe to the test closes, whatever closes it.
 */
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { KMS, type KMSClientConfig } from '@aws-sdk/client-kms'
import { stringify } from 'yaml'

export interface SandboxOptions {
  readonly tokens?: number
  readonly processes?: number
  readonly regions?: readonly string[]
  readonly account?: string
  /** Of the configuration, beside those of a sandbox. */
  readonly settings?: Readonly<Record<string, unknown>>
}

/** The line that a sandbox prints when it is ready. */
export interface SandboxDescription {
  readonly endpoint: string
  readonly adminEndpoint: string
  readonly region: string
  readonly regions: readonly string[]
  readonly accountId: string
  readonly callerArn: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** The daemon. */
  readonly pid: number
  /** The processes that take connections, where they are not the daemon's first. */
  readonly servicePids: readonly number[]
  readonly hsmHostPids: readonly number[]
  readonly dir: string
}

export interface Sandbox {
  readonly description: SandboxDescription
  /** A client of the first user, without retries unless `config` asks for them. `stop` destroys it. */
  client(config?: KMSClientConfig): KMS
  /** What it has logged so far. */
  log(): string
  /** Stops it and waits until it has removed everything. Throws when it did not end in time, or not well. */
  stop(): Promise<void>
}

const NODE = fileURLToPath(new URL('../../scripts/node', import.meta.url))
const STRONGROOM = fileURLToPath(new URL('../../scripts/strongroom', import.meta.url))
const SCRIPT = fileURLToPath(new URL('../../scripts/sandbox.ts', import.meta.url))
/** Runs its arguments until its stdin ends, and ends as they do. Its stdout closes with theirs: an early death shows. */
const KEEPER = '"$@" </dev/null & pid=$!; exec >/dev/null; cat; kill -TERM $pid 2>/dev/null; wait $pid'
const STOP_MS = 60_000

/** Throws, with the log, when the sandbox is not ready in time. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-settings-'))
  const child = spawn('/bin/sh', ['-c', KEEPER, 'sandbox', NODE, SCRIPT, ...argumentsOf(options, folder)], {
    env: plainEnvironment(),
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  const log: string[] = []
  child.stderr.setEncoding('utf8').on('data', text => log.push(text))
  const ended = new Promise<number | null>(resolve => child.once('close', resolve))
  let description: SandboxDescription
  try {
    description = JSON.parse(await firstLine(child))
  } catch {
    child.stdin.end()
    await ended
    throw new Error(`the sandbox did not start:\n${log.join('')}`)
  } finally {
    rmSync(folder, { recursive: true })
  }
  // From here on it keeps nobody alive: a process that ends without `stop` takes it along.
  child.unref()
  for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as Socket).unref()
  const clients: KMS[] = []
  return {
    description,
    client(config = {}) {
      const client = new KMS({ ...connectionOf(description), maxAttempts: 1, ...config })
      clients.push(client)
      return client
    },
    log: () => log.join(''),
    async stop() {
      for (const client of clients.splice(0)) client.destroy()
      child.ref()
      child.stdin.end()
      let late = false
      const impatience = setTimeout(() => {
        late = true
        process.kill(description.pid, 'SIGKILL')
      }, STOP_MS)
      const code = await ended
      clearTimeout(impatience)
      if (late) throw new Error(`the daemon did not stop in ${STOP_MS / 1000} s:\n${log.join('')}`)
      if (code !== 0) throw new Error(`the sandbox ended with ${code}:\n${log.join('')}`)
    },
  }
}

/** Where the sandbox is and who calls, as every AWS SDK for JavaScript takes it. */
export function connectionOf({ endpoint, region, accessKeyId, secretAccessKey }: SandboxDescription) {
  return { endpoint, region, credentials: { accessKeyId, secretAccessKey } }
}

export interface Finished {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** A sandbox, or what one says of itself. */
type Running = Sandbox | SandboxDescription

function descriptionOf(sandbox: Running): SandboxDescription {
  return 'description' in sandbox ? sandbox.description : sandbox
}

const AWS = '/usr/bin/aws'

/** Debian's AWS CLI, which knows nothing of the developer's own AWS settings. `args` begin with the service. */
export function runAwsCli(sandbox: Running, args: readonly string[]): Promise<Finished> {
  const description = descriptionOf(sandbox)
  return run(AWS, ['--endpoint-url', description.endpoint, '--output', 'json', ...args], awsEnvironment(description))
}

/** The environment for programs that find region and credentials by themselves, such as boto3. */
export function awsEnvironment({ region, accessKeyId, secretAccessKey, dir }: SandboxDescription): NodeJS.ProcessEnv {
  return {
    ...plainEnvironment(),
    HOME: dir,
    AWS_DEFAULT_REGION: region,
    AWS_ACCESS_KEY_ID: accessKeyId,
    AWS_SECRET_ACCESS_KEY: secretAccessKey,
    AWS_CONFIG_FILE: '/dev/null',
    AWS_SHARED_CREDENTIALS_FILE: '/dev/null',
    AWS_EC2_METADATA_DISABLED: 'true',
    AWS_PAGER: '',
  }
}

/** Runs a program to its end, which never rejects. */
export function run(file: string, args: readonly string[], env = plainEnvironment()): Promise<Finished> {
  return new Promise(resolve => {
    execFile(file, args, { env, timeout: 100_000, maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr })
    })
  })
}

/** The strongroom command against the sandbox's daemon: `identity`, `hsm` and the like. */
export function runStrongroom(sandbox: Running, args: readonly string[]): Promise<Finished> {
  return run(STRONGROOM, [...args, '--config', `${descriptionOf(sandbox).dir}/strongroom.yaml`])
}

/** Neither Jest's NODE_OPTIONS nor anybody's AWS_*. STRONGROOM_TEST_RUN is how scripts/test finds what is left over. */
function plainEnvironment(): NodeJS.ProcessEnv {
  const { PATH, HOME, LANG, TZ, TMPDIR, STRONGROOM_TEST_RUN } = process.env
  return { PATH, HOME, LANG, TZ, TMPDIR, STRONGROOM_TEST_RUN }
}

/** The settings are written to a file of this folder. */
function argumentsOf({ tokens, processes, regions = [], account, settings }: SandboxOptions, folder: string): string[] {
  const file = join(folder, 'settings.yaml')
  if (settings !== undefined) writeFileSync(file, stringify(settings))
  return [
    ...['--port', '0'],
    ...(tokens === undefined ? [] : ['--tokens', String(tokens)]),
    ...(processes === undefined ? [] : ['--processes', String(processes)]),
    ...regions.flatMap(region => ['--region', region]),
    ...(account === undefined ? [] : ['--account', account]),
    ...(settings === undefined ? [] : ['--config', file]),
  ]
}

function firstLine({ stdout }: ChildProcess): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    stdout!.setEncoding('utf8')
    stdout!.on('data', chunk => {
      text += chunk
      if (text.includes('\n')) resolve(text)
    })
    stdout!.once('end', () => reject(new Error('no line')))
  })
}
