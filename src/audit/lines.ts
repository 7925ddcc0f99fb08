/** Lines of a file of the audit log, one after the other, however long the file is. */
import { createReadStream } from 'node:fs'
import { AUDIT_LINE_MAX_BYTES } from '../formats/audit-chain.ts'

export interface FoundLine {
  /** Without its LF. */
  readonly bytes: Buffer
  /** From the start of the file to the end of the line. */
  readonly end: number
  /** False for what stands behind the last LF: a line that was cut off. */
  readonly complete: boolean
}

const LINE_FEED = 0x0a

/**
 * Reads from `start` up to `until`, both in bytes. A line longer than any of this format comes in pieces, none of which can be read.
 * Rejects when the file cannot be read.
 */
export async function* linesOf(path: string, start = 0, until = Number.POSITIVE_INFINITY): AsyncGenerator<FoundLine> {
  if (until <= start) return
  let rest: Buffer = Buffer.alloc(0)
  let end = start
  const range = { start, end: until - 1, highWaterMark: 1_048_576 }
  for await (const chunk of createReadStream(path, range) as AsyncIterable<Buffer>) {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk])
    let from = 0
    for (let at = rest.indexOf(LINE_FEED, from); at >= 0; at = rest.indexOf(LINE_FEED, from)) {
      end += at + 1 - from
      yield { bytes: rest.subarray(from, at), end, complete: true }
      from = at + 1
    }
    rest = rest.subarray(from)
    if (rest.length > AUDIT_LINE_MAX_BYTES) {
      end += rest.length
      yield { bytes: rest, end, complete: true }
      rest = Buffer.alloc(0)
    }
  }
  if (rest.length > 0) yield { bytes: rest, end: end + rest.length, complete: false }
}
