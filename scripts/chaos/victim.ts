/** A token that faults are given to: the module before it, the hosts that have it open, its folder, its PIN. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { parsePkcs11Uri } from '../../src/base/pkcs11-uri.ts'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'
import type { FaultyModule } from './faulty-module.ts'

const TAMPER = fileURLToPath(new URL('tamper.ts', import.meta.url))
const LABEL_BYTES = 32
const PIN_BYTES = 18
const UNLOCK_MS = 10_000

const run = promisify(execFile)

export class Victim {
  readonly label: string
  readonly module: FaultyModule
  /** The token without the module before it. */
  readonly #location: TokenLocation
  readonly #askUnlock: () => Promise<void>
  #daemonPid = 0
  /** Where the token's files were before they vanished or were written over. */
  #home: string | undefined

  /** `askUnlock` tells the daemon that the PIN may be tried again, and rejects when nothing is locked. */
  constructor(label: string, location: TokenLocation, module: FaultyModule, askUnlock: () => Promise<void>) {
    this.label = label
    this.module = module
    this.#location = location
    this.#askUnlock = askUnlock
  }

  /** The daemon whose hosts are this token's. */
  belongTo(daemonPid: number): void {
    this.#daemonPid = daemonPid
  }

  /** Hosts of the daemon that have the token's module loaded, and live. */
  hosts(): number[] {
    return this.module.pids().filter(pid => parentOf(pid) === this.#daemonPid)
  }

  signal(signal: NodeJS.Signals): void {
    for (const pid of this.hosts()) process.kill(pid, signal)
  }

  /** Takes the token's files away, as when it is pulled. */
  vanish(): void {
    this.#home = this.#folder()
    renameSync(this.#home, this.#aside)
  }

  /** Initialises the token anew from another process, SO PIN at hand: its keys are gone. */
  async reinitialise(): Promise<void> {
    this.#home = this.#folder()
    cpSync(this.#home, this.#aside, { recursive: true, preserveTimestamps: true })
    await this.#tamper('reinitialise', join(dirname(this.pinFile), 'so-pin'))
  }

  /** Puts back what was before {@link vanish} or {@link reinitialise}. */
  comeBack(): void {
    if (this.#home === undefined) return
    rmSync(this.#home, { recursive: true, force: true })
    renameSync(this.#aside, this.#home)
    this.#home = undefined
  }

  /** Changes the user PIN from another process; the PIN file keeps the old one until {@link writePin}. */
  async changePin(): Promise<void> {
    writeFileSync(this.#newPinFile, `${randomBytes(PIN_BYTES).toString('base64url')}\n`, { mode: 0o600 })
    await this.#tamper('change-pin', this.pinFile, this.#newPinFile)
  }

  /** What the operator does who changed the PIN. */
  writePin(): void {
    renameSync(this.#newPinFile, this.pinFile)
  }

  /** What the operator does then; again while the daemon has not noticed that the PIN is refused, and not for ever. */
  async unlock(): Promise<void> {
    const until = performance.now() + UNLOCK_MS
    while (performance.now() < until) {
      const unlocked = await this.#askUnlock().then(
        () => true,
        () => false,
      )
      if (unlocked) return
    }
  }

  get pinFile(): string {
    return parsePkcs11Uri(this.#location.uri).pinFile
  }

  get #newPinFile(): string {
    return `${this.pinFile}.new`
  }

  get #tokens(): string {
    return join(dirname(this.#location.environment.SOFTHSM2_CONF!), 'tokens')
  }

  get #aside(): string {
    return join(dirname(this.#tokens), `aside-${this.label}`)
  }

  /** SoftHSM names a token's folder by an id of its own; the label stands in one of its files. */
  #folder(): string {
    const label = this.label.padEnd(LABEL_BYTES, ' ')
    const found = readdirSync(this.#tokens)
      .map(name => join(this.#tokens, name))
      .find(folder => readFileSync(join(folder, 'token.object'), 'latin1').includes(label))
    if (found === undefined) throw new Error(`token ${this.label} has no folder`)
    return found
  }

  async #tamper(job: string, ...files: readonly string[]): Promise<void> {
    const { modulePath } = parsePkcs11Uri(this.#location.uri)
    const { environment } = this.#location
    await run(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', TAMPER, job, modulePath, this.label, ...files],
      {
        env: environment,
      },
    )
  }
}

/** 0 for a process that has ended. */
function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? 0 : Number(parent)
  } catch {
    return 0
  }
}
