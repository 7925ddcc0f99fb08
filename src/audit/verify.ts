/**
 * Verifies the audit log offline, with the public keys of the audit keys alone: a stream of lines in, what is wrong out. Each event
 * says its own hash, so that the first one that was changed, removed, moved or added is named; who rehashes what follows is caught
 * by the next checkpoint (security.md 2.8).
 */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { MalformedBytes } from '../base/bytes.ts'
import { CHAIN_START, ChainHasher, type ChainHead, readAuditLine } from '../formats/audit-chain.ts'
import {
  auditKeyId,
  type Checkpoint,
  checkpointDigest,
  isSignedBy,
  NO_CHECKPOINT,
  readCheckpoint,
} from '../formats/audit-checkpoint.ts'

/** Where a line stands: a file and its line, or a block of the key store. */
export interface Place {
  readonly source: string
  readonly line: number
}

export interface Finding extends Place {
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
  /** Events at the end of the last chain that no checkpoint covers: a cut there shows only against an outside copy. */
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
  readonly #findings: Finding[] = []
  readonly #notes: string[] = []
  readonly #chains: Chain[] = []
  #chain: Chain | undefined
  #place: Place = { source: '', line: 0 }
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
  line(bytes: Buffer, place: Place, complete = true): void {
    this.#place = place
    if (!complete) {
      this.#torn(bytes.length)
      return
    }
    if (this.#isRepeated(bytes)) return
    const line = readAuditLine(bytes)
    if (line?.kind === 'file' && !this.#bare) this.#file(line, line.file)
    else if (this.#chain === undefined) this.#find('no file of an audit log: it does not begin with the line of one')
    else if (line === undefined || line.kind === 'file')
      this.#find('a line was changed or added: it is none of an audit log')
    else if (line.kind === 'event') this.#event(this.#chain, line.seq, line.hash, line.event)
    else this.#checkpoint(this.#chain, line.body, line.signature)
  }

  /** Something about where the lines came from is wrong. */
  wrong(what: string, place: Place): void {
    this.#place = place
    this.#find(what)
  }

  /** Nothing comes any more. */
  end(): Verdict {
    const last = this.#chains.at(-1)
    for (const { id, missing, firstSeq } of this.#chains) {
      if (missing.size > 0)
        this.#notes.push(`chain ${id}: ${missing.size} events are missing, the first is ${Math.min(...missing)}`)
      if (firstSeq > 1) this.#notes.push(`chain ${id}: events before ${firstSeq} were not given`)
    }
    if ((last?.tornBytes ?? 0) > 0)
      this.#notes.push(`the last line was cut off after ${last?.tornBytes} bytes: its event was never acknowledged`)
    if (this.#repeated > 0) this.#notes.push(`${this.#repeated} lines came more than once, as forwarded lines may`)
    return {
      findings: this.#findings,
      notes: this.#notes,
      events: this.#events,
      chains: this.#chains.map(summary),
      uncovered: last === undefined ? 0 : last.seq - Math.max(last.covered, last.firstSeq - 1),
    }
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
    if (seq === 1) this.#first(event)
    this.#resume(chain, seq, hash)
  }

  #resume(chain: Chain, seq: number, hash: string): void {
    chain.seq = seq
    chain.hash = hash
    chain.recent.set(seq, hash)
  }

  /** The first event of a chain names the end of the one before. */
  #first(event: Buffer): void {
    const before = this.#chains.at(-2)
    const named = previousOf(event)
    if (named === undefined) {
      this.#find('the first event of the chain does not say which chain it follows', 1)
    } else if (before === undefined) {
      if (named !== null)
        this.#notes.push(`the log begins after event ${named.seq} of chain ${named.chain}, which was not given`)
    } else if (named === null || named.chain !== before.id) {
      const given = named === null ? 'none' : `chain ${named.chain}`
      this.#find(`the chain follows ${given}, and chain ${before.id} stands before it: a chain was dropped or added`, 1)
    } else if (named.seq !== before.seq || named.hash !== before.hash) {
      this.#find(
        `chain ${before.id} ended with event ${named.seq}, and ends with ${before.seq} here: its end was changed`,
        1,
      )
    } else if (before.previousCheckpoint !== undefined && named.checkpoint !== nameOf(before.previousCheckpoint)) {
      this.#find(`the last checkpoint of chain ${before.id} was removed or changed`, 1)
    } else if (!this.#bare && this.#seen === undefined && named.tornBytes !== before.tornBytes) {
      this.#find(`the cut off line at the end of chain ${before.id} was changed`, 1)
    }
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
    const { head, previous, auditKey, timeMs, anchor, lane, uses } = checkpoint
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

function summary(chain: Chain): ChainSummary {
  const { id, firstSeq, seq, checkpoints, covered, coveredAtMs, anchorEpoch, uses } = chain
  return {
    ...{ chain: id, firstSeq, lastSeq: seq, checkpoints, coveredSeq: covered, anchorEpoch },
    coveredAt: coveredAtMs === undefined ? null : new Date(coveredAtMs).toISOString(),
    uses: Object.fromEntries(uses),
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

interface Previous extends ChainHead {
  readonly checkpoint: string | null
  readonly tornBytes: number
}

/** What the first event of a chain says of the one before; undefined when it says nothing that can be read. */
function previousOf(event: Buffer): Previous | null | undefined {
  try {
    const { requestParameters } = JSON.parse(event.toString('utf8')) as {
      requestParameters?: { previous?: Previous | null }
    }
    return requestParameters?.previous
  } catch {
    return undefined
  }
}
