/** The Strongroom that faults are given to: a throw-away instance, each of its tokens behind a module of the rig. */
import { execFile } from 'node:child_process'
import { closeSync, mkdirSync, mkdtempSync, openSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Credentials } from '../bench/sigv4.ts'
import { prepareInstance, type RunningDaemon, readCredentials, startDaemon } from '../instance.ts'
import { buildFaultyModule, makeFaulty } from './faulty-module.ts'
import { Victim } from './victim.ts'

const STRONGROOM = fileURLToPath(new URL('../strongroom', import.meta.url))
const REGION = 'on-prem-1'
const TOKENS = 2
const STOP_MS = 15_000

const run = promisify(execFile)

export class Subject implements AsyncDisposable {
  readonly tokens: Victim[] = []
  readonly #dir = mkdtempSync(join(tmpdir(), 'strongroom-chaos-'))
  readonly #log: number
  #configuration = ''
  #daemon: RunningDaemon | undefined
  #stop = new AbortController()

  /** `logPath` keeps what the daemon logs; without one it goes with the rest. */
  constructor(logPath?: string) {
    this.#log = openSync(logPath ?? join(this.#dir, 'daemon.log'), 'a', 0o600)
  }

  /** Makes tokens, domain and first user, and starts the daemon. `signal` interrupts it; disposing is the caller's in any case. */
  async start(signal: AbortSignal): Promise<void> {
    const rig = join(this.#dir, 'rig')
    mkdirSync(rig)
    const modulePath = buildFaultyModule(rig)
    this.#configuration = await prepareInstance(
      {
        ...{ dir: this.#dir, regions: [REGION], tokensPerRegion: TOKENS, port: 0, adminPort: 0, log: this.#log },
        through: (location, label) => {
          const module = makeFaulty(rig, label, modulePath, location)
          this.tokens.push(new Victim(label, location, module, () => this.#unlock(label)))
          return module.location
        },
      },
      signal,
    )
    await this.#startDaemon(signal)
  }

  get endpoint(): string {
    return this.#running.endpoint
  }

  get adminEndpoint(): string {
    return this.#running.adminEndpoint
  }

  get credentials(): Credentials {
    return { ...readCredentials(this.#dir), region: REGION }
  }

  /** For a daemon that a fault has left for good: another one, on the same tokens. */
  async restart(signal: AbortSignal): Promise<void> {
    await this.#stopDaemon()
    await this.#startDaemon(signal)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const token of this.tokens) {
      token.module.set('pass')
      token.signal('SIGCONT')
    }
    await this.#stopDaemon()
    closeSync(this.#log)
    rmSync(this.#dir, { recursive: true, force: true })
  }

  /** As an operator does it. */
  async #unlock(label: string): Promise<void> {
    await run(STRONGROOM, ['hsm', 'unlock', '--config', this.#configuration, '--region', REGION, '--hsm', label])
  }

  get #running(): RunningDaemon {
    if (this.#daemon === undefined) throw new Error('the daemon does not run')
    return this.#daemon
  }

  async #startDaemon(signal: AbortSignal): Promise<void> {
    this.#stop = new AbortController()
    const stop = AbortSignal.any([this.#stop.signal, signal])
    this.#daemon = await startDaemon(this.#configuration, stop, this.#log)
    for (const token of this.tokens) token.belongTo(this.#daemon.child.pid!)
  }

  /** Ends the daemon and then its hosts: one that hangs before it has logged in would outlive it. */
  async #stopDaemon(): Promise<void> {
    if (this.#daemon === undefined) return
    const { child, ended } = this.#daemon
    this.#daemon = undefined
    const hosts = this.tokens.flatMap(token => token.hosts())
    this.#stop.abort()
    const late = await Promise.race([ended.then(() => false), sleep(STOP_MS, true, { ref: false })])
    if (late) child.kill('SIGKILL')
    await ended
    for (const pid of hosts) {
      try {
        if (late) process.kill(pid, 'SIGKILL')
      } catch {
        // It has ended, as it should.
      }
    }
  }
}
