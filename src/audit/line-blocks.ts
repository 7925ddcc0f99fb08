/** How lines are cut for the key store, which takes them in blocks that keep nobody waiting. */

/** Of the lines of a block, unless one line alone is longer. */
export const BLOCK_MAX_BYTES = 1_024 * 1_024

const LINE_FEED = 0x0a
const EVENT_START = Buffer.from('{"seq":', 'latin1')
const NEXT_EVENT = Buffer.from('\n{"seq":', 'latin1')

/** Lines that follow each other, whole. */
export interface Lines {
  /** The numbers of their first and last event; the first is one more than the last where there is none. */
  readonly firstSeq: number
  readonly lastSeq: number
  readonly lines: Buffer
}

/** Cuts whole lines, whose first event has the number `firstSeq`, into what a block may hold. */
export function* cutLines(lines: Buffer, firstSeq: number): Generator<Lines> {
  let seq = firstSeq
  for (let from = 0; from < lines.length; ) {
    const end = endOfBlock(lines, from)
    const piece = lines.subarray(from, end)
    const events = countEvents(piece)
    yield { firstSeq: seq, lastSeq: seq + events - 1, lines: piece }
    seq += events
    from = end
  }
}

function endOfBlock(lines: Buffer, from: number): number {
  const limit = from + BLOCK_MAX_BYTES
  if (lines.length <= limit) return lines.length
  const whole = lines.lastIndexOf(LINE_FEED, limit - 1) + 1
  return whole > from ? whole : lines.indexOf(LINE_FEED, limit) + 1 || lines.length
}

function countEvents(lines: Buffer): number {
  let count = lines.subarray(0, EVENT_START.length).equals(EVENT_START) ? 1 : 0
  for (let at = lines.indexOf(NEXT_EVENT); at >= 0; at = lines.indexOf(NEXT_EVENT, at + 1)) count += 1
  return count
}
