/** The memory of another process, as whoever may debug it sees it. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs'
import { setImmediate as nextTurn } from 'node:timers/promises'

const CHUNK_BYTES = 16 * 1024 * 1024

/** How often each is in the readable memory of a process: bytes as they are, text in UTF-8 or as two-byte characters. */
export async function countInMemory(pid: number, sought: readonly (string | Buffer)[]): Promise<number[]> {
  const needles = sought.map(each =>
    typeof each === 'string' ? [Buffer.from(each, 'utf8'), Buffer.from(each, 'utf16le')] : [each],
  )
  const overlap = Math.max(...needles.flat().map(({ length }) => length)) - 1
  const counts = sought.map(() => 0)
  const buffer = Buffer.alloc(CHUNK_BYTES + overlap)
  const memory = openSync(`/proc/${pid}/mem`, 'r')
  try {
    for (const { start, end } of readableRanges(pid)) {
      let kept = 0
      for (let at = start; at < end; ) {
        const length = readChunk(memory, buffer, kept, Math.min(CHUNK_BYTES, end - at), at)
        if (length === 0) break
        const bytes = buffer.subarray(0, kept + length)
        for (const [index, forms] of needles.entries())
          for (const form of forms) counts[index]! += countIn(bytes, form, Math.max(0, kept - form.length + 1))
        kept = Math.min(overlap, bytes.length)
        bytes.copyWithin(0, bytes.length - kept)
        at += length
        await nextTurn()
      }
    }
  } finally {
    closeSync(memory)
  }
  return counts
}

/** Files that are mapped into a process: its program and libraries. */
export function mappedFiles(pid: number): string[] {
  const paths = readFileSync(`/proc/${pid}/maps`, 'utf8').match(/\/.*$/gm) ?? []
  return [...new Set(paths)]
}

/** Addresses are below 2^47, so numbers hold them. */
function readableRanges(pid: number): { start: number; end: number }[] {
  return readFileSync(`/proc/${pid}/maps`, 'utf8')
    .split('\n')
    .filter(line => /^\S+ r/.test(line) && !/\[v(var|syscall)/.test(line))
    .map(line => {
      const [start, end] = line
        .split(' ', 1)[0]!
        .split('-')
        .map(address => Number.parseInt(address, 16))
      return { start: start!, end: end! }
    })
}

/** A range may be gone by the time it is read; then nothing is read. */
function readChunk(memory: number, buffer: Buffer, offset: number, length: number, position: number): number {
  try {
    return readSync(memory, buffer, offset, length, position)
  } catch {
    return 0
  }
}

/** Occurrences that end behind `from`: those before it were counted with the chunk before. */
function countIn(bytes: Buffer, needle: Buffer, from: number): number {
  let count = 0
  for (let at = bytes.indexOf(needle, from); at >= 0; at = bytes.indexOf(needle, at + 1)) count += 1
  return count
}
