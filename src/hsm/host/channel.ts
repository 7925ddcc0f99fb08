/**
 * The host's end of a socket pair: blocking reads and writes on one file descriptor, so that a host is a plain loop
 * (read, do, answer) with no event loop between a command and the token. Everything that passed through is overwritten.
 */
import { readSync, writeSync } from 'node:fs'
import { ByteWriter } from '../../base/bytes.ts'
import { ANSWER_DELAY_MS, ANSWERS_TOGETHER_MAX, BUSY_ANSWER_DELAY_MS, FrameSplitter } from '../contract/frames.ts'

/** The descriptor that the daemon's spawn puts the first socket on; the others follow. */
export const CHANNEL_FD = 3
const READ_BYTES = 262_144

export class HostChannel {
  readonly writer = new ByteWriter(READ_BYTES)
  readonly #buffer = Buffer.alloc(READ_BYTES)
  readonly #splitter = new FrameSplitter()
  readonly #fd: number

  constructor(fd = CHANNEL_FD) {
    this.#fd = fd
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

  /** Calls `take` with each frame until the daemon closes the channel; `settle` after the answers to a batch have left. */
  serve(take: (frame: Buffer) => void, settle: () => void): void {
    for (;;) {
      const length = readSync(this.#fd, this.#buffer)
      if (length === 0) return
      let answeredAt = performance.now()
      let keptBack = 0
      const taken = this.#splitter.push(this.#buffer.subarray(0, length), (frame, bytesBehind) => {
        take(frame)
        keptBack += 1
        // Commands that come together are much of one length: more than one is behind this one.
        const delayMs = bytesBehind > 1.5 * frame.length ? BUSY_ANSWER_DELAY_MS : ANSWER_DELAY_MS
        if (keptBack < ANSWERS_TOGETHER_MAX && performance.now() - answeredAt < delayMs) return
        keptBack = 0
        this.flush()
        answeredAt = performance.now()
      })
      this.flush()
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
