/**
 * Verifies the audit log offline, with the public keys of the audit keys alone: a stream of lines in, what is wrong out. Each event
 * says its own hash, so that the first one that was changed, removed, moved or added is named; who rehashes what follows is caught
 * by the next checkpoint (security.md 2.8).
 */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { MalformedBytes } from '../base/bytes.ts'
import { type AuditLine, CHAIN_START, ChainHasher, type ChainHead, readAuditLine } from '../formats/audit-chain.ts'
import {
  auditKeyId,
  type Checkpoint,
  checkpointDigest,
  isSignedBy,
  NO_CHECKPOINT,
  readCheckpoint,
} from '../formats/audit-checkpoint.ts'
import { readBeginning } from './beginnings.ts'
import { checkLinks, type Place, type ReadChain } from './chain-links.ts'

export interface Finding extends Pick<Place, 'source' | 'line'> {
  readonly chain: string
  /** The number of the event that it is about, or of the last one before. */
  readonly seq: number
  readonly eventId: string | undefined
  readonly what: string
}

export interface ChainSummary {
  readonly chain: string
  readonly firstSeq: number
  readonly lastSeq: number
  readonly checkpoints: number
  /** The last event that a checkpoint covers, and when that was signed. */
  readonly coveredSeq: number
  readonly coveredAt: string | null
  /** Events at its end that nothing signed covers: neither a checkpoint nor a chain that follows it. */
  readonly uncovered: number
  /** Of the key store, as the last checkpoint has it. */
  readonly anchorEpoch: number
  /** What the hosts that signed have done, by lane: HBKs used by as many commands. */
  readonly uses: Readonly<Record<string, number>>
}

export interface Verdict {
  readonly findings: readonly Finding[]
  /** For people: what was not looked at, and what is not wrong. */
  readonly notes: readonly string[]
  readonly events: number
  readonly chains: readonly ChainSummary[]
  /** Events at the ends of all chains that nothing signed covers: a cut there shows only against an outside copy. */
  readonly uncovered: number
}

/** What the lines are of. */
export interface VerifierOptions {
  /** The key store: they come without the first lines of files. */
  readonly bare?: boolean
  /** A collector: what was forwarded may be there more than once, and what a crash cut off is not. */
  readonly forwarded?: boolean
}

/** Beyond this many findings the rest is not told. */
const FINDINGS_MAX = 20
/** More lines than a forwarder sends again. */
const LINES_HELD = 200_000

interface Chain {
  readonly id: string
  readonly hasher: ChainHasher
  readonly firstSeq: number
  /** The number and hash of the last event; the hash is empty where it is not known. */
  seq: number
  hash: string
  file: number
  checkpoints: number
  covered: number
  coveredAtMs: number | undefined
  previousCheckpoint: Buffer | undefined
  beginning: ReadChain['beginning']
  named: ReadChain['named']
  anchorEpoch: number
  /** Hashes of events since the last checkpoint, by their number: a checkpoint may come some events late. */
  readonly recent: Map<number, string>
  /** Numbers that were missing where they belonged. */
  readonly missing: Set<number>
  readonly uses: Map<string, number>
  /** Of a line at the end of its last file that was cut off. */
  tornBytes: number
}

export class Verifier {
  readonly #keys: ReadonlyMap<string, Buffer>
  readonly #findings: (Finding & Place)[] = []
  readonly #notes: string[] = []
  readonly #chains: Chain[] = []
  #chain: Chain | undefined
  #place: Place = { source: '', line: 0, at: 0 }
  #events = 0
  #repeated = 0
  readonly #bare: boolean
  /** Digests of the lines of a collector: no two lines of a log are the same. */
  readonly #seen: LRUCache<string, true> | undefined

  /** `publicKeys` are SubjectPublicKeyInfo, DER. */
  constructor(publicKeys: readonly Buffer[], { bare = false, forwarded = false }: VerifierOptions = {}) {
    this.#keys = new Map(publicKeys.map(key => [auditKeyId(key).toString('hex'), key]))
    this.#bare = bare
    this.#seen = forwarded ? new LRUCache({ max: LINES_HELD }) : undefined
  }

  get events(): number {
    return this.#events
  }

  /** Lines of the key store begin with a block of a chain. */
  block(chain: string, firstSeq: number): void {
    if (this.#chain?.id === chain) return
    this.#begin(chain, firstSeq - 1, firstSeq === 1 ? CHAIN_START : '', 0)
  }

  /** The next line, without its LF. `complete` is false for what stands behind the last LF of a file. */
  line(bytes: Buffer, place: Omit<Place, 'at'>, complete = true): void {
    this.#place = { ...place, at: this.#place.at + 1 }
    if (!complete) {
      this.#torn(bytes.length)
      return
    }
    if (this.#isRepeated(bytes)) return
    const line = readAuditLine(bytes)
    this.#chain = this.#chainOf(line)
    if (line?.kind === 'file' && !this.#bare) this.#file(line, line.file)
    else if (this.#chain === undefined) this.#find('no file of an audit log: it does not begin with the line of one')
    else if (line === undefined || line.kind === 'file')
      this.#find('a line was changed or added: it is none of an audit log')
    else if (line.kind === 'event') this.#event(this.#chain, line.seq, line.hash, line.event)
    else this.#checkpoint(this.#chain, line.body, line.signature)
  }

  /** Something about where the lines came from is wrong. */
  wrong(what: string, place: Omit<Place, 'at'>): void {
    this.#place = { ...place, at: this.#place.at + 1 }
    this.#find(what)
  }

  /** Nothing comes any more. */
  end(): Verdict {
    const begun = this.#chains.filter(({ seq }) => seq > 0)
    const { findings, notes, open } = checkLinks(begun.map(readChain), {
      ...{ torn: !this.#bare && this.#seen === undefined, mayExpire: this.#bare },
    })
    this.#notes.push(...notes)
    for (const { place, ...finding } of findings) this.#findings.push({ ...place, ...finding, eventId: undefined })
    for (const { id, missing, firstSeq, tornBytes } of this.#chains) {
      if (missing.size > 0)
        this.#notes.push(`chain ${id}: ${missing.size} events are missing, the first is ${Math.min(...missing)}`)
      if (firstSeq > 1) this.#notes.push(`chain ${id}: events before ${firstSeq} were not given`)
      if (tornBytes > 0 && open.has(id))
        this.#notes.push(`the last line was cut off after ${tornBytes} bytes: its event was never acknowledged`)
    }
    if (this.#repeated > 0) this.#notes.push(`${this.#repeated} lines came more than once, as forwarded lines may`)
    return {
      findings: this.#findings
        .toSorted((a, b) => a.at - b.at)
        .slice(0, FINDINGS_MAX)
        .map(({ at: _, ...finding }) => finding),
      notes: this.#notes,
      events: this.#events,
      chains: this.#chains.map(chain => summary(chain, open.get(chain.id) ?? 0)),
      uncovered: [...open.values()].reduce((sum, uncovered) => sum + uncovered, 0),
    }
  }

  /**
   * The chain that a line belongs to. In a collector's copy those of several processes stand among each other: a line goes where it
   * fits.
   */
  #chainOf(line: AuditLine | undefined): Chain | undefined {
    const chain = this.#chain
    if (this.#seen === undefined || line === undefined) return chain
    if (line.kind !== 'event') {
      const id = line.kind === 'file' ? line.chain : chainOfCheckpoint(line.body)
      return this.#chains.find(each => each.id === id) ?? chain
    }
    const { seq, hash, event } = line
    const fits = (each: Chain) => seq === each.seq + 1 && hash === each.hasher.next(seq, each.hash, event)
    return chain !== undefined && fits(chain) ? chain : (this.#chains.findLast(fits) ?? chain)
  }

  #isRepeated(bytes: Buffer): boolean {
    if (this.#seen === undefined) return false
    const digest = hash('sha256', bytes, 'base64')
    const repeated = this.#seen.has(digest)
    this.#seen.set(digest, true)
    if (repeated) this.#repeated += 1
    return repeated
  }

  #file(head: ChainHead, number: number): void {
    const chain = this.#chain
    if (chain === undefined || chain.id !== head.chain) {
      if (this.#chains.some(({ id }) => id === head.chain))
        this.#find('files stand in another order than they were written in')
      this.#begin(head.chain, head.seq, head.hash, number)
      return
    }
    if (chain.tornBytes > 0) this.#find('a line in the middle of the chain was cut off')
    if (number !== chain.file + 1)
      this.#find(`file ${number} follows file ${chain.file}: files are missing or in another order`)
    else if (head.seq !== chain.seq || head.hash !== chain.hash)
      this.#find(`the file begins after event ${head.seq}, and the one before ended with ${chain.seq}`)
    chain.tornBytes = 0
    chain.file = number
    if (head.seq !== chain.seq) this.#resume(chain, head.seq, head.hash)
  }

  #begin(id: string, seq: number, hash: string, file: number): void {
    const chain: Chain = {
      ...{ id, hasher: new ChainHasher(id), firstSeq: seq + 1, seq, hash, file, checkpoints: 0, covered: 0 },
      ...{ coveredAtMs: undefined, previousCheckpoint: seq === 0 ? NO_CHECKPOINT : undefined, anchorEpoch: 0 },
      ...{ recent: new Map([[seq, hash]]), missing: new Set<number>(), uses: new Map(), tornBytes: 0 },
      ...{ beginning: undefined, named: { heads: [], place: this.#place } },
    }
    if (seq === 0 && hash !== CHAIN_START) this.#find('the chain does not begin with zeros')
    if (seq === 0 && file > 1) this.#find(`the chain begins with its file ${file}`)
    this.#chain = chain
    this.#chains.push(chain)
  }

  #event(chain: Chain, seq: number, hash: string, event: Buffer): void {
    this.#events += 1
    const eventId = idOf(event)
    // A block of the key store may begin in the middle of a chain, where the hash before is not known.
    const expected = chain.hash === '' ? hash : chain.hasher.next(seq, chain.hash, event)
    if (seq === chain.seq + 1) {
      if (hash !== expected) this.#find('the event was changed, or the one before it', seq, eventId)
    } else if (seq > chain.seq + 1) {
      const gap = chain.seq + 1 === seq - 1 ? `event ${seq - 1} was` : `events ${chain.seq + 1} to ${seq - 1} were`
      this.#find(`${gap} removed or moved`, chain.seq + 1)
      for (let at = chain.seq + 1; at < seq && chain.missing.size < 100_000; at += 1) chain.missing.add(at)
    } else if (chain.missing.delete(seq)) {
      this.#find('the event was moved here from its place', seq, eventId)
      return
    } else {
      this.#find(`an event of number ${seq} is there twice: one was added or repeated`, seq, eventId)
      if (hash === chain.recent.get(seq)) return
    }
    if (seq === 1) this.#first(chain, event)
    this.#resume(chain, seq, hash)
  }

  #resume(chain: Chain, seq: number, hash: string): void {
    chain.seq = seq
    chain.hash = hash
    chain.recent.set(seq, hash)
  }

  #first(chain: Chain, event: Buffer): void {
    const beginning = readBeginning(event)
    if (beginning === undefined) this.#find('the first event of the chain does not say which chain it follows', 1)
    else chain.beginning = { ...beginning, place: this.#place }
  }

  #checkpoint(chain: Chain, body: Buffer, signature: Buffer): void {
    let checkpoint: Checkpoint
    try {
      checkpoint = readCheckpoint(body)
    } catch (error) {
      if (!(error instanceof MalformedBytes)) throw error
      this.#find('the checkpoint was changed')
      return
    }
    const { head, previous, auditKey, timeMs, anchor, others, lane, uses } = checkpoint
    const key = this.#keys.get(auditKey.toString('hex'))
    if (key === undefined)
      this.#find(
        `the checkpoint is signed by audit key ${auditKey.toString('hex').slice(0, 16)}, whose public key was not given`,
      )
    else if (!signed(key, body, signature)) this.#find('the signature of the checkpoint is wrong: it was changed')
    else if (head.chain !== chain.id) this.#find('the checkpoint is of another chain')
    else if (chain.previousCheckpoint !== undefined && !previous.equals(chain.previousCheckpoint))
      this.#find('the checkpoint before this one was removed, or this one stands here again')
    else if (head.seq < chain.covered || timeMs < (chain.coveredAtMs ?? 0)) this.#find('the checkpoint goes backwards')
    else if (head.seq > chain.seq)
      this.#find(`the checkpoint covers event ${head.seq}, which is not there: events were removed`)
    else if (
      chain.recent.has(head.seq) &&
      chain.recent.get(head.seq) !== head.hash &&
      chain.recent.get(head.seq) !== ''
    )
      this.#find(
        `events from ${chain.covered + 1} to ${head.seq} are not those that the checkpoint covers: some were changed, added or removed and all after them rehashed`,
        chain.covered + 1,
      )
    else {
      chain.covered = head.seq
      chain.coveredAtMs = timeMs
      chain.named = { heads: others, place: this.#place }
    }
    for (const seq of chain.recent.keys()) if (seq < head.seq) chain.recent.delete(seq)
    chain.checkpoints += 1
    chain.previousCheckpoint = checkpointDigest(body)
    chain.anchorEpoch = anchor.epoch
    chain.uses.set(lane.toString('hex'), uses)
  }

  #torn(bytes: number): void {
    if (this.#chain === undefined) this.#find('no file of an audit log: its first line was cut off')
    else this.#chain.tornBytes = bytes
  }

  #find(what: string, seq = (this.#chain?.seq ?? 0) + 1, eventId?: string): void {
    if (this.#findings.length >= FINDINGS_MAX) return
    this.#findings.push({ ...this.#place, chain: this.#chain?.id ?? '', seq, eventId, what })
  }
}

function readChain(chain: Chain): ReadChain {
  const { id, beginning, seq, hash, firstSeq, previousCheckpoint, tornBytes, named, recent } = chain
  const covered = Math.max(chain.covered, firstSeq - 1)
  const checkpoint = previousCheckpoint && nameOf(previousCheckpoint)
  return { id, beginning, seq, hash, covered, checkpoint, tornBytes, named, recent }
}

function summary(chain: Chain, uncovered: number): ChainSummary {
  const { id, firstSeq, seq, checkpoints, covered, coveredAtMs, anchorEpoch, uses } = chain
  return {
    ...{ chain: id, firstSeq, lastSeq: seq, checkpoints, coveredSeq: covered, anchorEpoch },
    coveredAt: coveredAtMs === undefined ? null : new Date(coveredAtMs).toISOString(),
    uncovered,
    uses: Object.fromEntries(uses),
  }
}

function chainOfCheckpoint(body: Buffer): string | undefined {
  try {
    return readCheckpoint(body).head.chain
  } catch {
    return undefined
  }
}

/** How the first event of a chain names the last checkpoint before it. */
function nameOf(checkpoint: Buffer): string | null {
  return checkpoint.equals(NO_CHECKPOINT) ? null : checkpoint.toString('hex')
}

/** A signature that is no DER at all is wrong too. */
function signed(key: Buffer, body: Buffer, signature: Buffer): boolean {
  try {
    return isSignedBy(key, body, signature)
  } catch {
    return false
  }
}

/** The id of an event, for people who look for it; what cannot be read has none. */
function idOf(event: Buffer): string | undefined {
  return /"eventID":"([0-9a-f-]{36})"/.exec(event.toString('latin1'))?.[1]
}
