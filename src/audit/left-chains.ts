/**
 * The chains that daemons before have left, as their files say it, or the key store where there are no files. It does not verify:
 * what is wrong with them is found by `audit verify`, and keeps no daemon from starting.
 */
import { type AuditLine, type ChainHead, readAuditLine } from '../formats/audit-chain.ts'
import { checkpointDigest, readCheckpoint } from '../formats/audit-checkpoint.ts'
import { readBeginning } from './beginnings.ts'
import type { ChainBeginning, NamedEnd } from './chain-links.ts'
import { linesOf } from './lines.ts'
import type { LineBlock } from './log.ts'
import { type LogFileName, listLogFiles, readLogFileName } from './log-files.ts'
import { UnstoredLines } from './unstored-lines.ts'

/** The files of a chain. */
export interface ChainFiles extends LogFileName {
  /** In their order. */
  readonly paths: readonly string[]
}

/** A chain that somebody has left. */
export interface LeftChain {
  readonly end: NamedEnd
  readonly startedAtMs: number
  /** What its first event says; undefined where that is not there any more. */
  readonly beginning: ChainBeginning | undefined
  /** The number of the service process; undefined for none, and where it is not known. */
  readonly process: number | undefined
  /** The chains that its last checkpoint names. */
  readonly named: readonly string[]
}

/** The part of the key store that is asked. */
export interface LeftStorage {
  chains(): Promise<readonly { readonly chain: string; readonly firstAtMs: number }[]>
  firstBlock(chain: string): Promise<LineBlock | undefined>
  lastBlock(chain: string): Promise<LineBlock | undefined>
  /** The newest first. */
  blocksOf(chain: string): AsyncIterable<LineBlock>
  /** Adds a block and lets go of pending events. */
  addBlock(block: LineBlock, chained: readonly string[]): Promise<void>
  forgetPending(ids: readonly string[]): Promise<void>
}

/** What reading a chain needs besides. */
export interface ReadingParts {
  readonly storage: LeftStorage
  /** Ids of events that the key store keeps until a chain has them. */
  readonly pending: ReadonlySet<string>
  readonly nowMs: number
}

/** Of the files in a folder, in the order in which they were begun. */
export async function listChains(folder: string): Promise<ChainFiles[]> {
  const chains = new Map<string, LogFileName & { readonly paths: string[] }>()
  for (const path of await listLogFiles(folder)) {
    const name = readLogFileName(path)
    const known = chains.get(name.chain) ?? { ...name, paths: [] }
    known.paths.push(path)
    chains.set(name.chain, known)
  }
  return [...chains.values()]
}

/**
 * Reads a chain to the end of its files. Lines that the key store has not got are put there, and the events in them are no longer
 * pending.
 */
export async function readFiles(files: ChainFiles, { storage, pending, nowMs }: ReadingParts): Promise<LeftChain> {
  const { chain, process, startedAtMs, paths } = files
  const stored = await storage.lastBlock(chain)
  const unstored = new UnstoredLines({ chain, stored, startedAtMs, nowMs })
  const ids = new Set<string>()
  const put = async (block: LineBlock | undefined) => {
    if (block === undefined) return
    await storage.addBlock(block, [...ids])
    ids.clear()
  }
  let head: ChainHead = { chain, seq: 0, hash: '' }
  let checkpoint: Buffer | undefined
  let tornBytes = 0
  const read = await filesFrom(paths, stored?.lastSeq ?? 0)
  for (const path of read) {
    tornBytes = 0
    for await (const { bytes, complete } of linesOf(path)) {
      if (!complete) {
        tornBytes = bytes.length
        continue
      }
      const line = readAuditLine(bytes)
      if (line === undefined) continue
      if (line.kind !== 'checkpoint') head = { chain, seq: line.seq, hash: line.hash }
      if (line.kind === 'file') continue
      if (line.kind === 'checkpoint') checkpoint = line.body
      const { id, atMs } = line.kind === 'event' ? factsOf(line.event) : {}
      await put(unstored.add(line, bytes, head.seq, atMs))
      if (id !== undefined && pending.has(id)) ids.add(id)
    }
  }
  await put(unstored.rest())
  if (ids.size > 0) await storage.forgetPending([...ids])
  checkpoint ??= await lastCheckpoint(paths.slice(0, -read.length))
  return {
    end: { ...head, checkpoint: nameOf(checkpoint), tornBytes },
    ...{ startedAtMs, process, beginning: await beginningOf(paths[0]), named: namedIn(checkpoint) },
  }
}

/** Reads a chain of which there are no files. Pending events that it holds are no longer pending. */
export async function readStored(
  { chain, firstAtMs: startedAtMs }: { readonly chain: string; readonly firstAtMs: number },
  { storage, pending }: ReadingParts,
): Promise<LeftChain> {
  let seq: number | undefined
  let hash: string | undefined
  let checkpoint: Buffer | undefined
  for await (const block of storage.blocksOf(chain)) {
    const lines = auditLinesOf(block.lines)
    // A block may have been stored a moment before its events were let go of; those before it were let go of with it.
    if (seq === undefined) await forget(storage, pending, lines)
    seq ??= block.lastSeq
    for (const line of lines.toReversed()) {
      if (line.kind === 'event') hash ??= line.hash
      if (line.kind !== 'checkpoint') continue
      checkpoint ??= line.body
      // The last event itself may be in a block that has expired.
      const signed = headOf(line.body)
      if (signed?.seq === seq) hash ??= signed.hash
    }
    if (hash !== undefined && checkpoint !== undefined) break
  }
  const first = await storage.firstBlock(chain)
  const begins = first?.firstSeq === 1 ? auditLinesOf(first.lines).find(({ kind }) => kind === 'event') : undefined
  const beginning = begins?.kind === 'event' ? readBeginning(begins.event) : undefined
  return {
    end: { chain, seq: seq ?? 0, hash: hash ?? '', checkpoint: nameOf(checkpoint), tornBytes: 0, fromStore: true },
    ...{ startedAtMs, process: beginning?.process, beginning, named: namedIn(checkpoint) },
  }
}

async function forget(storage: LeftStorage, pending: ReadonlySet<string>, lines: readonly AuditLine[]): Promise<void> {
  const ids = lines.flatMap(line => (line.kind === 'event' ? (factsOf(line.event).id ?? []) : []))
  const left = ids.filter(id => pending.has(id))
  if (left.length > 0) await storage.forgetPending(left)
}

/** What the key store has to know of an event; nothing of what cannot be read. */
function factsOf(event: Buffer): { readonly id?: string; readonly atMs?: number } {
  try {
    const { eventID, eventTime } = JSON.parse(event.toString('utf8')) as { eventID?: unknown; eventTime?: unknown }
    const atMs = typeof eventTime === 'string' ? Date.parse(eventTime) : Number.NaN
    return { ...(typeof eventID === 'string' ? { id: eventID } : {}), ...(Number.isNaN(atMs) ? {} : { atMs }) }
  } catch {
    return {}
  }
}

/** The lines of a block that can be read. */
function auditLinesOf(lines: Buffer): AuditLine[] {
  const found: AuditLine[] = []
  let from = 0
  for (let at = lines.indexOf(LINE_FEED); at >= 0; at = lines.indexOf(LINE_FEED, from)) {
    const line = readAuditLine(lines.subarray(from, at))
    if (line !== undefined) found.push(line)
    from = at + 1
  }
  return found
}

const LINE_FEED = 0x0a

/** The files of a chain from the one on that holds the event after `seq`. */
async function filesFrom(paths: readonly string[], seq: number): Promise<string[]> {
  const found: string[] = []
  for (const path of paths.toReversed()) {
    const [first] = await firstLines(path, 1)
    found.unshift(path)
    if (first?.kind === 'file' && first.seq < seq) break
  }
  return found
}

/** The body of the last checkpoint in some files. */
async function lastCheckpoint(paths: readonly string[]): Promise<Buffer | undefined> {
  for (const path of paths.toReversed()) {
    let found: Buffer | undefined
    for await (const { bytes } of linesOf(path)) {
      const line = readAuditLine(bytes)
      if (line?.kind === 'checkpoint') found = line.body
    }
    if (found !== undefined) return found
  }
  return undefined
}

/** What a chain's first event says; undefined when its first file is not there. */
async function beginningOf(path: string | undefined): Promise<ChainBeginning | undefined> {
  const [file, first] = path === undefined ? [] : await firstLines(path, 2)
  return file?.kind === 'file' && file.seq === 0 && first?.kind === 'event' ? readBeginning(first.event) : undefined
}

async function firstLines(path: string, count: number): Promise<(AuditLine | undefined)[]> {
  const found: (AuditLine | undefined)[] = []
  for await (const { bytes } of linesOf(path)) {
    found.push(readAuditLine(bytes))
    if (found.length >= count) break
  }
  return found
}

/** How the first event of a chain names the last checkpoint of the one before. */
function nameOf(checkpoint: Buffer | undefined): string | null {
  return checkpoint === undefined ? null : checkpointDigest(checkpoint).toString('hex')
}

function namedIn(checkpoint: Buffer | undefined): string[] {
  try {
    return checkpoint === undefined ? [] : readCheckpoint(checkpoint).others.map(({ chain }) => chain)
  } catch {
    return []
  }
}

function headOf(checkpoint: Buffer): ChainHead | undefined {
  try {
    return readCheckpoint(checkpoint).head
  } catch {
    return undefined
  }
}
