/**
 * One channel into a host: commands go in, and come back in the order they were sent, because the thread behind it does
 * one thing at a time. So the one being worked on is the oldest without an answer, or, as answers may be kept back to leave
 * together, one of the few behind it; the others only wait.
 */
import type { Socket } from 'node:net'
import { ByteWriter } from '../../base/bytes.ts'
import type { EktReference, WriteContext } from '../contract/fields.ts'
import {
  ANSWERS_TOGETHER_MAX,
  type Answer,
  BUSY_ANSWER_DELAY_MS,
  FrameSplitter,
  readAnswer,
  readEvent,
  writeConfiguration,
  writeRequest,
} from '../contract/frames.ts'
import type { HostConfiguration } from '../contract/host-configuration.ts'
import { EktMemory } from './ekt-memory.ts'
import type { Errand } from './errand.ts'
import { InFlight } from './in-flight.ts'

export interface LaneEvents {
  answered(lane: Lane, errand: Errand, answer: Answer, nowMs: number): void
  /** An event of the host, as yet unchecked. */
  told(event: unknown): void
  /** The host sent bytes that are no answer. */
  broken(reason: string): void
}

const MICROSECONDS_PER_MS = 1_000
/** Of the newest command in the moving average: some twenty commands decide. */
const TOKEN_MS_WEIGHT = 0.05
/**
 * A lane is given what it can do in this time, and two commands at least, so that its thread never waits for the pool; the
 * rest waits in the pool, where it can still go elsewhere.
 */
const WINDOW_MS = 50
/** A lane that has not answered for this long, and for so many times as long as a command takes, is passed over. */
const STALL_LEAST_MS = 100
const STALL_FACTOR = 10
const WRITER_BYTES = 65_536
/** How much quicker than the average commands may have been whose answers were kept back when a host ended. */
const KEPT_BACK_FACTOR = 20

export class Lane {
  /** EKTs that the thread behind it had taken into use when it was last asked. */
  hbkImports = 0
  readonly #channel: Socket
  readonly #events: LaneEvents
  readonly #writer = new ByteWriter(WRITER_BYTES)
  readonly #splitter = new FrameSplitter()
  readonly #held: EktMemory
  readonly #writeContext: WriteContext
  readonly #inFlight = new InFlight()
  /** Those that were taken away: the host answers them all the same, and nobody listens. */
  readonly #taken = new Set<number>()
  #tokenMs: number
  #generation = 0
  #headSinceMs = 0
  #stalled = false
  #flushScheduled = false

  constructor(channel: Socket, { tokenMs, ekts }: { tokenMs: number; ekts: number }, events: LaneEvents) {
    this.#channel = channel
    this.#events = events
    this.#tokenMs = tokenMs
    this.#held = new EktMemory(ekts)
    this.#writeContext = { holdsEkt: (ekt: EktReference) => this.#held.add(ekt.digest) }
    channel.on('error', () => {})
    channel.on('data', (chunk: Buffer) => {
      const nowMs = performance.now()
      try {
        this.#splitter.push(chunk, frame => this.#take(frame, nowMs))
      } catch (error) {
        events.broken(`unreadable answer: ${(error as Error).message}`)
      }
    })
  }

  get inFlight(): number {
    return this.#inFlight.size
  }

  /** Moving average of the time a command takes in the host, in milliseconds. */
  get tokenMs(): number {
    return this.#tokenMs
  }

  /** When a command sent now would be done, as fast as this lane has been of late. */
  get expectedMs(): number {
    return (this.#inFlight.size + 1) * this.#tokenMs
  }

  /** Whether this command may be sent now. */
  takes({ generation }: Errand): boolean {
    return (
      !this.#stalled && this.#inFlight.size < Math.max(2, WINDOW_MS / this.#tokenMs) && this.#generation >= generation
    )
  }

  holds(ekt: EktReference): boolean {
    return this.#held.has(ekt.digest)
  }

  /** Which description of the domain the thread behind it knows. */
  set generation(generation: number) {
    this.#generation = generation
  }

  /** Tells the host what it is: its first frame, and again after it said that it could not start. */
  configure(configuration: HostConfiguration): void {
    writeConfiguration(this.#writer, configuration)
    this.#flush()
  }

  /** Sends a command. Frames of one turn of the event loop leave in one write. Throws when the command does not fit. */
  send(errand: Errand): void {
    const id = this.#inFlight.add(errand)
    try {
      writeRequest(this.#writer, id, errand.name, errand.args, this.#writeContext, errand.trace)
    } catch (error) {
      this.#inFlight.take(id)
      throw error
    }
    if (this.#inFlight.size === 1) this.#headSinceMs = performance.now()
    if (this.#flushScheduled) return
    this.#flushScheduled = true
    setImmediate(() => this.#flush())
  }

  /** The command that has been worked on for longer than it may be. `floorMs` is the least that any is given. */
  overdue(nowMs: number, floorMs: number): Errand | undefined {
    const head = this.#inFlight.oldest
    if (head === undefined) return undefined
    return nowMs - this.#headSinceMs > Math.max(floorMs, head.deadlineMs) ? head : undefined
  }

  /** Does not count this time against the command that is being worked on. */
  excuse(lateMs: number): void {
    this.#headSinceMs += lateMs
  }

  /** Looks whether the lane still moves; true when it does not and commands wait behind the one it is at. */
  checkStall(nowMs: number): boolean {
    const limitMs = Math.max(STALL_LEAST_MS, STALL_FACTOR * this.#tokenMs)
    this.#stalled = this.#inFlight.size > 0 && nowMs - this.#headSinceMs > limitMs
    return this.#stalled && this.#inFlight.size > 1
  }

  /** Takes away what the lane has not begun. All commands may be done twice; the answer that comes second is dropped. */
  recall(wanted: (errand: Errand) => boolean): Errand[] {
    const recalled: Errand[] = []
    let head = true
    for (const [id, errand] of this.#inFlight) {
      if (!head && !this.#taken.has(id) && wanted(errand)) {
        this.#taken.add(id)
        recalled.push(errand)
      }
      head = false
    }
    return recalled
  }

  /** Gives up the lane: the commands that it may have been at, and those that only waited. */
  lose(): { suspects: Errand[]; waiting: Errand[] } {
    const keptBack = Math.floor((KEPT_BACK_FACTOR * BUSY_ANSWER_DELAY_MS) / this.#tokenMs)
    const atWork = Math.min(ANSWERS_TOGETHER_MAX, 1 + keptBack)
    const suspects: Errand[] = []
    const waiting: Errand[] = []
    let place = 0
    for (const [id, errand] of this.#inFlight) {
      place += 1
      if (this.#taken.has(id)) continue
      if (place <= atWork) suspects.push(errand)
      else waiting.push(errand)
    }
    this.#inFlight.clear()
    this.#taken.clear()
    this.#writer.clear()
    return { suspects, waiting }
  }

  end(): void {
    this.#channel.end()
  }

  #take(frame: Buffer, nowMs: number): void {
    const answer = readAnswer(frame)
    if (answer.outcome === 'event') {
      this.#events.told(readEvent(answer.body))
      return
    }
    const errand = this.#inFlight.take(answer.id)
    if (errand === undefined) return
    const wanted = !this.#taken.delete(answer.id)
    this.#headSinceMs = nowMs
    this.#stalled = false
    if (answer.outcome === 'need-record') {
      this.#held.clear()
      if (wanted) this.send(errand)
      return
    }
    this.#tokenMs += (answer.tokenMicroseconds / MICROSECONDS_PER_MS - this.#tokenMs) * TOKEN_MS_WEIGHT
    if (wanted) this.#events.answered(this, errand, answer, nowMs)
  }

  /** A known answer that came quicker than the average shows that the token is no longer as slow as it was. */
  quicken(tokenMs: number): void {
    this.#tokenMs = Math.min(this.#tokenMs, tokenMs)
  }

  #flush(): void {
    this.#flushScheduled = false
    if (this.#writer.length === 0) return
    // The socket may keep the bytes for later, so it gets a buffer of its own.
    const frames = Buffer.from(this.#writer.view())
    this.#writer.clear()
    this.#channel.write(frames, () => frames.fill(0))
  }
}
