/**
 * What the chain before has left: its end, which the next chain names, and the lines that the key store has not got because the
 * daemon ended before it could put them there.
 */
import { type ChainHead, readAuditLine } from '../formats/audit-chain.ts'
import { checkpointDigest } from '../formats/audit-checkpoint.ts'
import { cutLines } from './line-blocks.ts'
import { linesOf } from './lines.ts'
import type { LineBlock } from './log.ts'
import { listLogFiles } from './log-files.ts'

/** The end of the chain before, as the first event of the next one names it. */
export interface PreviousChain extends ChainHead {
  /** SHA-256 of its last checkpoint, in hex; null when it has none. */
  readonly checkpoint: string | null
  /** Bytes of a line that was cut off at its end. */
  readonly tornBytes: number
}

export interface Recovered {
  readonly previous: PreviousChain
  /** Lines that are not in the key store. */
  readonly unstored: readonly LineBlock[]
  /** Ids of the events in the files that were read: of those in these lines, and of some before them. */
  readonly eventIds: ReadonlySet<string>
}

/** The part of the key store that is asked. */
export interface StoredChain {
  lastBlock(chain: string): Promise<LineBlock | undefined>
}

interface Kept {
  readonly seq: number | undefined
  readonly line: Buffer
}

/**
 * Reads the end of the last chain in a folder; undefined when there is none. It does not verify: what is wrong with the files is
 * found by `audit verify`, and keeps no daemon from starting.
 */
export async function recoverPrevious(
  folder: string,
  storage: StoredChain,
  nowMs: number,
): Promise<Recovered | undefined> {
  const files = await listLogFiles(folder)
  const chain = await lastChain(files)
  if (chain === undefined) return undefined
  const stored = await storage.lastBlock(chain)
  const storedSeq = stored?.lastSeq ?? 0
  let head: ChainHead = { chain, seq: 0, hash: '' }
  let checkpoint: string | null = null
  let tornBytes = 0
  let kept: Kept[] = []
  const eventIds = new Set<string>()
  for (const path of await filesFrom(files, chain, storedSeq)) {
    tornBytes = 0
    for await (const { bytes, complete } of linesOf(path)) {
      if (!complete) {
        tornBytes = bytes.length
        continue
      }
      const line = readAuditLine(bytes)
      if (line?.kind === 'file') head = { chain, seq: line.seq, hash: line.hash }
      if (line?.kind === 'event') {
        head = { chain, seq: line.seq, hash: line.hash }
        const id = eventIdOf(line.event)
        if (id !== undefined) eventIds.add(id)
      }
      if (line?.kind === 'checkpoint') checkpoint = checkpointDigest(line.body).toString('hex')
      if (line?.kind === 'file' || line === undefined || head.seq < storedSeq) continue
      if (line.kind === 'event' && line.seq === storedSeq) continue
      kept.push({ seq: line.kind === 'event' ? line.seq : undefined, line: Buffer.from(bytes) })
    }
  }
  kept = kept.slice(alreadyStored(kept, stored))
  const firstSeq = kept.find(({ seq }) => seq !== undefined)?.seq ?? storedSeq + 1
  const lines = Buffer.concat(kept.flatMap(({ line }) => [line, LINE_FEED]))
  const times = { firstAtMs: stored?.lastAtMs ?? nowMs, lastAtMs: nowMs }
  return {
    previous: { ...head, checkpoint, tornBytes },
    eventIds,
    unstored: [...cutLines(lines, firstSeq)].map(block => ({ chain, ...times, ...block })),
  }
}

const LINE_FEED = Buffer.from('\n')

/** The id of an event; undefined when it has none. */
function eventIdOf(event: Buffer): string | undefined {
  return /"eventID":"([0-9a-f-]{36})"/.exec(event.toString('latin1'))?.[1]
}

/** The chain that the last file belongs to, as its first line says. */
async function lastChain(files: readonly string[]): Promise<string | undefined> {
  for (const path of files.toReversed()) {
    const first = await firstLine(path)
    if (first?.kind === 'file') return first.chain
  }
  return undefined
}

/** The files of a chain from the one on that holds the event after `seq`. */
async function filesFrom(files: readonly string[], chain: string, seq: number): Promise<string[]> {
  const found: string[] = []
  for (const path of files.toReversed()) {
    const first = await firstLine(path)
    if (first?.kind !== 'file' || first.chain !== chain) break
    found.unshift(path)
    if (first.seq < seq || first.seq === 0) break
  }
  return found
}

async function firstLine(path: string) {
  for await (const { bytes } of linesOf(path)) return readAuditLine(bytes)
  return undefined
}

/** How many of the lines, checkpoints behind the last stored event, end the last stored block already. */
function alreadyStored(kept: readonly Kept[], stored: LineBlock | undefined): number {
  if (stored === undefined) return 0
  let count = 0
  const text = stored.lines.toString('latin1')
  while (
    kept[count] !== undefined &&
    kept[count]?.seq === undefined &&
    text.includes(kept[count]!.line.toString('latin1'))
  ) {
    count += 1
  }
  return count
}
