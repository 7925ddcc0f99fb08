/**
 * One token of the pool: its host process, the commands in flight there, and the state it is in. A member starts its host
 * again when it ends, with a pause that grows until one is ready, unless the token refused the PIN: that waits for an operator.
 */
import { ByteWriter } from '../../base/bytes.ts'
import { type Args, type CommandName, commands, type Result } from '../contract/commands.ts'
import { HsmFault } from '../contract/fault.ts'
import type { EktReference, WriteContext } from '../contract/fields.ts'
import {
  FrameSplitter,
  readAnswer,
  readFault,
  readResult,
  writeConfiguration,
  writeRequest,
} from '../contract/frames.ts'
import { type HostConfiguration, type HostEvent, hostEvent, type TokenProfile } from '../contract/host-configuration.ts'
import { EktMemory } from './ekt-memory.ts'
import { HOST_ENTRY, type HostProcess, spawnHost } from './host-process.ts'

export const MEMBER_STATES = ['starting', 'healthy', 'down', 'locked-out'] as const
export type MemberState = (typeof MEMBER_STATES)[number]

/** A command on its way. The pool makes it, a member carries it, and it may go to another member. */
export interface Errand {
  readonly name: CommandName
  readonly args: Args<CommandName>
  /** Serials of the only tokens that can serve it; undefined when all of the region can. */
  readonly serials: readonly string[] | undefined
  readonly startedAtMs: number
  readonly resolve: (result: Result<CommandName>) => void
  readonly reject: (error: Error) => void
  /** Hosts that ended, or faults that were not the command's own, while this command was in flight. */
  setbacks: number
  sentAtMs: number
}

export interface MemberEvents {
  stateChanged(member: Member, reason: string): void
  answered(member: Member, errand: Errand, tokenMicroseconds: number): void
  /** Any fault, whoever is to blame. */
  faulted(member: Member, fault: HsmFault): void
  /** A fault that is not the command's own, or the end of the host: the pool decides where the command goes next. */
  lost(member: Member, errand: Errand, fault: HsmFault): void
  output(member: Member, line: string): void
}

const RESTART_PAUSE_FIRST_MS = 100
const RESTART_PAUSE_MAX_MS = 30_000
/** A library may hang while it is loaded or logged in as well. */
const START_DEADLINE_MS = 15_000
const MICROSECONDS_PER_MS = 1_000
/** Of the newest command in the moving average: some twenty commands decide. */
const TOKEN_MS_WEIGHT = 0.05

export class Member {
  readonly label: string
  profile: TokenProfile | undefined
  restarts = 0
  readonly #configuration: HostConfiguration
  readonly #events: MemberEvents
  readonly #inFlight = new Map<number, Errand>()
  readonly #writer = new ByteWriter(65_536)
  readonly #held: EktMemory
  readonly #writeContext: WriteContext
  /** Moving average of the time a command takes in the host. */
  #tokenMs = 0.1
  #state: MemberState = 'starting'
  #process: HostProcess | undefined
  #startedAtMs = 0
  #nextId = 1
  #flushScheduled = false
  #pauseMs = RESTART_PAUSE_FIRST_MS
  #restartTimer: NodeJS.Timeout | undefined
  #closing = false

  constructor(label: string, configuration: HostConfiguration, events: MemberEvents) {
    this.label = label
    this.#configuration = configuration
    this.#events = events
    this.#held = new EktMemory(configuration.cachedHbks)
    this.#writeContext = { holdsEkt: (ekt: EktReference) => this.#held.add(ekt.digest) }
  }

  get state(): MemberState {
    return this.#state
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** Whether the token is one of those that can serve this command at all; what it is, is known once it was ready. */
  mayServe({ serials }: Pick<Errand, 'serials'>): boolean {
    return serials === undefined || (this.profile !== undefined && serials.includes(this.profile.serial))
  }

  /** How long a command sent now would wait for those before it, as fast as this token has been of late. */
  get expectedWaitMs(): number {
    return this.#inFlight.size * this.#tokenMs
  }

  get pid(): number | undefined {
    return this.#process?.child.pid
  }

  start(): void {
    const host = spawnHost(HOST_ENTRY, line => this.#events.output(this, line))
    const splitter = new FrameSplitter()
    this.#startedAtMs = performance.now()
    let failure: Extract<HostEvent, { type: 'failed' }> | undefined
    this.#process = host
    this.#held.clear()
    host.channel.on('error', () => {})
    host.channel.on('data', (chunk: Buffer) => {
      try {
        splitter.push(chunk, frame => {
          failure = this.#take(frame) ?? failure
        })
      } catch (error) {
        this.kill(`unreadable answer: ${(error as Error).message}`)
      }
    })
    host.child.once('error', () => {})
    host.child.once('close', (code, signal) => {
      this.#ended(failure, `host ended (${signal ?? `code ${code}`})`)
    })
    writeConfiguration(this.#writer, this.#configuration)
    this.#flush()
  }

  /** Sends a command. Frames of one turn of the event loop leave in one write. */
  send(errand: Errand): void {
    const id = this.#nextId
    this.#nextId = id === 0xffff_ffff ? 1 : id + 1
    writeRequest(this.#writer, id, errand.name, errand.args, this.#writeContext)
    this.#inFlight.set(id, errand)
    errand.sentAtMs = performance.now()
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    setImmediate(() => this.#flush())
  }

  /** Ends a host that does not answer. Nothing but SIGKILL ends a hung PKCS#11 call. */
  kill(reason: string): void {
    this.#changeState('down', reason)
    this.#process?.child.kill('SIGKILL')
  }

  /** Why the host counts as mute; undefined while it keeps its deadlines. */
  muteReason(nowMs: number): string | undefined {
    if (this.#state === 'starting' && nowMs - this.#startedAtMs > START_DEADLINE_MS)
      return 'host was not ready within its deadline'
    if (this.#state !== 'healthy') return undefined
    for (const { name, sentAtMs } of this.#inFlight.values()) {
      if (nowMs - sentAtMs > commands[name].deadlineMs) return `no answer to ${name} within its deadline`
    }
    return undefined
  }

  /** Lets the host finish what it has and ends it. */
  async close(): Promise<void> {
    this.#closing = true
    clearTimeout(this.#restartTimer)
    const host = this.#process
    if (host === undefined || host.child.exitCode !== null || host.child.signalCode !== null) return
    const ended = new Promise(resolve => host.child.once('close', resolve))
    host.channel.end()
    const impatience = setTimeout(() => host.child.kill('SIGKILL'), 2_000)
    await ended
    clearTimeout(impatience)
  }

  #take(frame: Buffer): Extract<HostEvent, { type: 'failed' }> | undefined {
    const answer = readAnswer(frame)
    if (answer.outcome === 'event') return this.#heard(hostEvent.parse(JSON.parse(answer.body.toString('utf8'))))
    const errand = this.#inFlight.get(answer.id)
    if (errand === undefined) return undefined
    if (answer.outcome === 'need-record') {
      this.#inFlight.delete(answer.id)
      this.#held.clear()
      this.send(errand)
      return undefined
    }
    this.#inFlight.delete(answer.id)
    this.#tokenMs += (answer.tokenMicroseconds / MICROSECONDS_PER_MS - this.#tokenMs) * TOKEN_MS_WEIGHT
    this.#events.answered(this, errand, answer.tokenMicroseconds)
    if (answer.outcome === 'result') {
      errand.resolve(readResult(errand.name, answer.body))
      return undefined
    }
    const fault = readFault(answer.body)
    this.#events.faulted(this, fault)
    if (fault.kind === 'input' || fault.kind === 'key') errand.reject(fault)
    else this.#events.lost(this, errand, fault)
    return undefined
  }

  #heard(event: HostEvent): Extract<HostEvent, { type: 'failed' }> | undefined {
    if (event.type === 'failed') return event
    this.profile = event.profile
    this.#pauseMs = RESTART_PAUSE_FIRST_MS
    this.#changeState('healthy', 'host is ready')
    return undefined
  }

  #ended(failure: Extract<HostEvent, { type: 'failed' }> | undefined, how: string): void {
    const reason = failure?.reason ?? how
    const errands = [...this.#inFlight.values()]
    this.#inFlight.clear()
    this.#writer.clear()
    this.#process = undefined
    if (!this.#closing) this.#changeState(failure?.retry === false ? 'locked-out' : 'down', reason)
    const fault = new HsmFault('module', reason)
    if (errands.length > 0) this.#events.faulted(this, fault)
    for (const errand of errands) this.#events.lost(this, errand, fault)
    if (this.#closing || this.#state === 'locked-out') return
    this.#restartTimer = setTimeout(() => {
      this.restarts += 1
      this.#changeState('starting', 'host is started again')
      this.start()
    }, this.#pauseMs)
    this.#pauseMs = Math.min(this.#pauseMs * 2, RESTART_PAUSE_MAX_MS)
  }

  #changeState(state: MemberState, reason: string): void {
    if (state === this.#state) return
    this.#state = state
    this.#events.stateChanged(this, reason)
  }

  #flush(): void {
    this.#flushScheduled = false
    if (this.#writer.length === 0) return
    // The socket may keep the bytes for later, so it gets a buffer of its own.
    const frames = Buffer.from(this.#writer.view())
    this.#writer.clear()
    this.#process?.channel.write(frames, () => frames.fill(0))
  }
}
