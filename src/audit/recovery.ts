/**
 * What the chains before have left: their ends, which the next chain names, and the lines that the key store has not got, because a
 * process ended before it could put them there, or because the key store is an older copy.
 */
import type { NamedEnd } from './chain-links.ts'
import {
  type LeftChain,
  type LeftStorage,
  listChains,
  type ReadingParts,
  readFiles,
  readStored,
} from './left-chains.ts'
import type { PendingStorage } from './recorder.ts'

/** The part of the key store that is asked, and completed. */
export interface RecoveryStorage extends LeftStorage, PendingStorage {}

export interface RecoveryParts {
  /** Where the files are. */
  readonly folder: string
  readonly storage: RecoveryStorage
  readonly nowMs: number
}

/** The ends that the daemon before has left. */
export interface LeftEnds {
  /** Of its own chain; undefined when there is none. */
  readonly own: NamedEnd | undefined
  /** Of the last chain of each of its service processes. */
  readonly processes: readonly NamedEnd[]
}

/** The service process whose chain is looked for, and the chain of its daemon. */
export interface ChainPlace {
  readonly daemon: string
  /** From 1. */
  readonly process: number
}

/** More than daemons and ceremonies leave behind. */
const PENDING_MAX = 100_000

/**
 * Finds the chains that nobody has followed yet. The key store gets what the files have and it has not: of the last daemon whose own
 * chain it knows, which had everything older put there before it began, and of all daemons after. What ended before `keptSinceMs` is
 * left out: the key store lets go of it anyway. Chains that have no files are taken as the key store has them.
 */
export async function recoverDaemon(
  { folder, storage, nowMs }: RecoveryParts,
  { keptSinceMs }: { readonly keptSinceMs: number },
): Promise<LeftEnds> {
  const parts = await readingParts(storage, nowMs)
  const chains = await listChains(folder)
  const stored = await storage.chains()
  const isStored = (chain: string) => stored.some(each => each.chain === chain)
  const known = chains.findLastIndex(({ chain, process }) => process === undefined && isStored(chain))
  const expired = chains.findLastIndex(each => each.process === undefined && each.startedAtMs < keptSinceMs)
  const left: LeftChain[] = []
  // The oldest first: when this is interrupted, the next start goes on where it has come to.
  for (const files of chains.slice(Math.max(known, expired, 0))) left.push(await readFiles(files, parts))
  const sinceMs = left.findLast(isOwn)?.startedAtMs ?? 0
  const isThere = (chain: string) => chains.some(each => each.chain === chain)
  for (const each of stored)
    if (each.firstAtMs >= sinceMs && !isThere(each.chain)) left.push(await readStored(each, parts))
  return openEnds(left)
}

/** The end of the chain of a service process that ended while its daemon goes on; undefined when it has left none. */
export async function recoverProcess(
  { folder, storage, nowMs }: RecoveryParts,
  { daemon, process }: ChainPlace,
): Promise<NamedEnd | undefined> {
  const parts = await readingParts(storage, nowMs)
  const chains = await listChains(folder)
  const since = chains.slice(chains.findIndex(({ chain }) => chain === daemon) + 1)
  for (const files of since.filter(each => each.process === process).toReversed()) {
    const { end } = await readFiles(files, parts)
    if (end.seq > 0) return end
  }
  return undefined
}

async function readingParts(storage: RecoveryStorage, nowMs: number): Promise<ReadingParts> {
  const pending = new Set((await storage.pendingEvents(PENDING_MAX)).map(({ id }) => id))
  return { storage, pending, nowMs }
}

/** A chain without an event belongs to a start that failed. */
function isOwn({ end, process }: LeftChain): boolean {
  return end.seq > 0 && process === undefined
}

/** Of chains that came in the order in which they began, those with files before those without. */
function openEnds(chains: readonly LeftChain[]): LeftEnds {
  const left = chains.filter(({ end }) => end.seq > 0).toSorted((a, b) => a.startedAtMs - b.startedAtMs)
  const ofProcesses = new Set(left.flatMap(chainsOfProcesses))
  const own = left.findLast(({ end }) => !ofProcesses.has(end.chain))
  const followed = new Set(left.flatMap(({ beginning }) => beginning?.previous?.chain ?? []))
  const open = left.filter(each => ofProcesses.has(each.end.chain) && !followed.has(each.end.chain))
  const ofOwn = open.filter(each => own === undefined || belongs(each, own))
  // Of a place that several chains have had, the last one that is known.
  const processes = ofOwn.filter(
    ({ process }, at) => process === undefined || ofOwn.findLastIndex(each => each.process === process) === at,
  )
  return { own: own?.end, processes: processes.map(({ end }) => end) }
}

/** The chains of service processes that a chain tells of, its own among them. */
function chainsOfProcesses({ end, beginning, process, named }: LeftChain): string[] {
  const own = process === undefined && beginning?.daemon === undefined ? [] : [end.chain]
  const before = beginning?.daemon === undefined ? beginning?.others : beginning.previous && [beginning.previous]
  return [...named, ...own, ...(before ?? []).map(({ chain }) => chain)]
}

/** Whether a chain is that of a service process of a daemon, or of none that is known, which began since. */
function belongs({ end, beginning, startedAtMs }: LeftChain, daemon: LeftChain): boolean {
  if (beginning !== undefined) return beginning.daemon === daemon.end.chain
  return daemon.named.includes(end.chain) || startedAtMs >= daemon.startedAtMs
}
