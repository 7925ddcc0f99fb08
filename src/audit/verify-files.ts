/** Gives a verifier the lines of files, or of the key store's blocks. */
import { stat } from 'node:fs/promises'
import { basename } from 'node:path'
import { linesOf } from './lines.ts'
import type { LineBlock } from './log.ts'
import { listLogFiles } from './log-files.ts'
import { type Verdict, Verifier, type VerifierOptions } from './verify.ts'

export interface VerifyProgress {
  /** Bytes, of all files together. */
  readonly done: number
  readonly total: number
}

const PROGRESS_LINES = 1_000
const LINE_FEED = 0x0a

/** Files as they are given; a folder stands for the files of a log in it, in their order. Rejects when one cannot be read. */
export async function logFilesOf(paths: readonly string[]): Promise<string[]> {
  const found: string[] = []
  for (const path of paths) {
    if ((await stat(path)).isDirectory()) found.push(...(await listLogFiles(path)))
    else found.push(path)
  }
  return found
}

/** Rejects when a file cannot be read; whatever is in it ends in the verdict. */
export async function verifyFiles(
  files: readonly string[],
  publicKeys: readonly Buffer[],
  onProgress: (progress: VerifyProgress) => void = () => {},
  options: Pick<VerifierOptions, 'forwarded'> = {},
): Promise<Verdict> {
  const verifier = new Verifier(publicKeys, options)
  // Of a log that is being written, no more than there is now is read, and the oldest files are measured first: what a daemon's
  // checkpoints say of the chains of its service processes, whose files come after its own, is then in those.
  const sizes: number[] = []
  for (const file of files) sizes.push((await stat(file)).size)
  const total = sizes.reduce((sum, size) => sum + size, 0)
  let before = 0
  for (const [at, file] of files.entries()) {
    let number = 0
    const source = basename(file)
    for await (const { bytes, complete, end } of linesOf(file, 0, sizes[at])) {
      number += 1
      verifier.line(bytes, { source, line: number }, complete)
      if (number % PROGRESS_LINES === 0) onProgress({ done: before + end, total })
    }
    if (number === 0) verifier.wrong('the file is empty: its lines were removed', { source, line: 1 })
    before += sizes[at] ?? 0
  }
  onProgress({ done: total, total })
  return verifier.end()
}

/** The same for what the key store holds. A block whose columns say something else than its lines is a finding too. */
export async function verifyBlocks(blocks: AsyncIterable<LineBlock>, publicKeys: readonly Buffer[]): Promise<Verdict> {
  const verifier = new Verifier(publicKeys, { bare: true })
  const seen = new Map<string, number>()
  for await (const { chain, firstSeq, lastSeq, lines } of blocks) {
    const number = (seen.get(chain) ?? 0) + 1
    seen.set(chain, number)
    const source = `block ${number} of chain ${chain.slice(0, 8)}`
    verifier.block(chain, firstSeq)
    const before = verifier.events
    let line = 0
    let from = 0
    for (let at = lines.indexOf(LINE_FEED); at >= 0; at = lines.indexOf(LINE_FEED, from)) {
      line += 1
      verifier.line(lines.subarray(from, at), { source, line })
      from = at + 1
    }
    if (from < lines.length) verifier.line(lines.subarray(from), { source, line: line + 1 }, true)
    if (verifier.events - before !== lastSeq - firstSeq + 1)
      verifier.wrong('the row of the block counts other events than its lines are', { source, line: 1 })
  }
  return verifier.end()
}
