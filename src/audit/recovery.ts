/**
 * What the chains before have left: their ends, which the next chain names, and the lines that the key store has not got because a
 * process ended before it could put them there.
 */
import { type ChainHead, readAuditLine } from '../formats/audit-chain.ts'
import { checkpointDigest } from '../formats/audit-checkpoint.ts'
import { cutLines } from './line-blocks.ts'
import { linesOf } from './lines.ts'
import type { LineBlock } from './log.ts'
import { type LogFileName, listLogFiles, readLogFileName } from './log-files.ts'

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

/** What the daemon before has left. */
export interface RecoveredDaemon {
  /** Its own chain; undefined when there is none. */
  readonly own: Recovered | undefined
  /** The last chain of each of its service processes. */
  readonly processes: readonly Recovered[]
}

/** The service process whose chain is looked for, and the chain of its daemon. */
export interface ChainPlace {
  readonly daemon: string
  /** From 1. */
  readonly process: number
}

interface ChainFiles extends LogFileName {
  /** In their order. */
  readonly paths: string[]
}

interface Kept {
  readonly seq: number | undefined
  readonly line: Buffer
}

/**
 * Reads the ends of the chains that nobody has followed yet. It does not verify: what is wrong with the files is found by `audit
 * verify`, and keeps no daemon from starting.
 */
export async function recoverDaemon(folder: string, storage: StoredChain, nowMs: number): Promise<RecoveredDaemon> {
  const chains = await chainsIn(folder)
  const own = await recoverNewest(of(undefined, chains), storage, nowMs)
  const since = chains.slice(chains.findIndex(({ chain }) => chain === own?.previous.chain) + 1)
  const processes: Recovered[] = []
  for (const process of new Set(since.flatMap(each => each.process ?? []))) {
    const recovered = await recoverNewest(of(process, since), storage, nowMs)
    if (recovered !== undefined) processes.push(recovered)
  }
  return { own, processes }
}

/** The same for a service process that ended while its daemon goes on; undefined when it has left nothing. */
export async function recoverProcess(
  folder: string,
  { daemon, process }: ChainPlace,
  storage: StoredChain,
  nowMs: number,
): Promise<Recovered | undefined> {
  const chains = await chainsIn(folder)
  const since = chains.slice(chains.findIndex(({ chain }) => chain === daemon) + 1)
  return recoverNewest(of(process, since), storage, nowMs)
}

/** In the order in which they were begun. */
async function chainsIn(folder: string): Promise<ChainFiles[]> {
  const chains = new Map<string, ChainFiles>()
  for (const path of await listLogFiles(folder)) {
    const { chain, process } = readLogFileName(path)
    const known = chains.get(chain) ?? { chain, process, paths: [] }
    known.paths.push(path)
    chains.set(chain, known)
  }
  return [...chains.values()]
}

function of(process: number | undefined, chains: readonly ChainFiles[]): ChainFiles[] {
  return chains.filter(each => each.process === process)
}

/** A chain without an event belongs to a start that failed. */
async function recoverNewest(
  chains: readonly ChainFiles[],
  storage: StoredChain,
  nowMs: number,
): Promise<Recovered | undefined> {
  for (const chain of chains.toReversed()) {
    const recovered = await recoverChain(chain, storage, nowMs)
    if (recovered.previous.seq > 0) return recovered
  }
  return undefined
}

async function recoverChain({ chain, paths }: ChainFiles, storage: StoredChain, nowMs: number): Promise<Recovered> {
  const stored = await storage.lastBlock(chain)
  const storedSeq = stored?.lastSeq ?? 0
  let head: ChainHead = { chain, seq: 0, hash: '' }
  let checkpoint: string | null = null
  let tornBytes = 0
  let kept: Kept[] = []
  const eventIds = new Set<string>()
  const read = await filesFrom(paths, storedSeq)
  for (const path of read) {
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
  checkpoint ??= await lastCheckpoint(paths.slice(0, -read.length))
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

/** The files of a chain from the one on that holds the event after `seq`. */
async function filesFrom(paths: readonly string[], seq: number): Promise<string[]> {
  const found: string[] = []
  for (const path of paths.toReversed()) {
    const first = await firstLine(path)
    found.unshift(path)
    if (first?.kind === 'file' && first.seq < seq) break
  }
  return found
}

/** The digest of the last checkpoint in some files, in hex. */
async function lastCheckpoint(paths: readonly string[]): Promise<string | null> {
  for (const path of paths.toReversed()) {
    let found: string | null = null
    for await (const { bytes } of linesOf(path)) {
      const line = readAuditLine(bytes)
      if (line?.kind === 'checkpoint') found = checkpointDigest(line.body).toString('hex')
    }
    if (found !== null) return found
  }
  return null
}

async function firstLine(path: string) {
  for await (const { bytes } of linesOf(path)) return readAuditLine(bytes)
  return undefined
}

/** How many of the lines the key store has: checkpoints behind its last event, up to the last line of its last block. */
function alreadyStored(kept: readonly Kept[], stored: LineBlock | undefined): number {
  if (stored === undefined) return 0
  const [last = ''] = stored.lines.toString('latin1').trimEnd().split('\n').slice(-1)
  return kept.findLastIndex(({ line }) => line.equals(Buffer.from(last, 'latin1'))) + 1
}
