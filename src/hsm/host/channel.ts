/**
 * The host's end of a socket pair: blocking reads and writes on one file descriptor, so that a host is a plain loop
 * (read, do, answer) with no event loop between a command and the token. Everything that passed through is overwritten.
 */
import { readSync, writeSync } from 'node:fs'
import { ByteWriter } from '../../base/bytes.ts'
import { ANSWER_DELAY_MS, ANSWERS_TOGETHER_MAX, BUSY_ANSWER_DELAY_MS, FrameSplitter } from '../contract/frames.ts'
import { waitingBytesOf } from './waiting-bytes.ts'

/** The descriptor that the daemon's spawn puts the first socket on; the others follow. */
export const CHANNEL_FD = 3
const READ_BYTES = 262_144

export class HostChannel {
  readonly writer = new ByteWriter(READ_BYTES)
  readonly #buffer = Buffer.alloc(READ_BYTES)
  readonly #splitter = new FrameSplitter()
  readonly #fd: number
  readonly #waitingBytes: () => number

  constructor(fd = CHANNEL_FD) {
    this.#fd = fd
    this.#waitingBytes = waitingBytesOf(fd)
  }

  /** The next frame, of a daemon that sends one at a time; undefined when it has closed the channel. */
  next(): Buffer | undefined {
    let next: Buffer | undefined
    while (next === undefined) {
      const length = readSync(this.#fd, this.#buffer)
      if (length === 0) return undefined
      this.#splitter.push(this.#buffer.subarray(0, length), frame => {
        next = Buffer.from(frame)
      })
    }
    return next
  }

  /**
   * Calls `take` with each frame until the daemon closes the channel; `settle` when all of a read are done. Answers are kept
   * back, within bounds, while commands are behind them here or in the socket.
   */
  serve(take: (frame: Buffer) => void, settle: () => void): void {
    let keptBack = 0
    let sinceMs = 0
    const answer = () => {
      this.flush()
      keptBack = 0
      sinceMs = performance.now()
    }
    for (;;) {
      if (keptBack > 0 && this.#waitingBytes() === 0) answer()
      const length = readSync(this.#fd, this.#buffer)
      if (length === 0) return
      if (keptBack === 0) sinceMs = performance.now()
      const taken = this.#splitter.push(this.#buffer.subarray(0, length), (frame, bytesBehind) => {
        take(frame)
        keptBack += 1
        const waitedMs = performance.now() - sinceMs
        // Commands that come together are much of one length.
        const mayWait =
          waitedMs < ANSWER_DELAY_MS ||
          (waitedMs < BUSY_ANSWER_DELAY_MS && bytesBehind + this.#waitingBytes() > keptBack * frame.length)
        if (keptBack === ANSWERS_TOGETHER_MAX || !mayWait) answer()
      })
      taken.fill(0)
      this.#buffer.fill(0, 0, length)
      settle()
    }
  }

  /** Writes what the writer holds, all of it, and overwrites it. */
  flush(): void {
    const bytes = this.writer.view()
    for (let offset = 0; offset < bytes.length; ) offset += writeSync(this.#fd, bytes, offset)
    this.writer.clear()
  }
}
