/**
 * What chains say of each other. The first event of a daemon's own chain names the ends of the chains that the daemon before has left;
 * that of a service process names the daemon's chain, and the end of the chain before in its place. A daemon's checkpoints name where
 * the chains of its service processes stood.
 */
import type { ChainHead } from '../formats/audit-chain.ts'

/** Where a line stands: a file and its line, or a block of the key store. */
export interface Place {
  readonly source: string
  readonly line: number
  /** How many lines came before it, of all. */
  readonly at: number
}

/** The end of a chain, as the first event of one that follows it names it. */
export interface NamedEnd extends ChainHead {
  /** SHA-256 of its last checkpoint, in hex; null when it has none. */
  readonly checkpoint: string | null
  /** Bytes of a line that was cut off at its end. */
  readonly tornBytes: number
  /** Whether it is the end that the key store had: the files were not there. */
  readonly fromStore?: boolean
}

/** What the first event of a chain says. */
export interface ChainBeginning {
  /** Null where there was none. */
  readonly previous: NamedEnd | null
  /** Ends of the chains of service processes, beside that of the daemon before. */
  readonly others: readonly NamedEnd[]
  /** The chain of the daemon whose service process it is of; undefined for a daemon's own. */
  readonly daemon: string | undefined
  /** The number of that service process. */
  readonly process: number | undefined
}

/** A chain that was read to its end. */
export interface ReadChain {
  readonly id: string
  /** Undefined where it was not given from its first event on. */
  readonly beginning: (ChainBeginning & { readonly place: Place }) | undefined
  readonly seq: number
  /** Of the last event; empty where it is not known. */
  readonly hash: string
  /** The last event that a checkpoint of its own covers, or the one before the first that was given. */
  readonly covered: number
  /** SHA-256 of its last checkpoint, in hex; null for none, undefined where that is not known. */
  readonly checkpoint: string | null | undefined
  readonly tornBytes: number
  /** The heads of other chains in its last checkpoint. */
  readonly named: { readonly heads: readonly ChainHead[]; readonly place: Place }
  /** Hashes of its last events, by their number. */
  readonly recent: ReadonlyMap<number, string>
}

export interface LinkFinding {
  readonly place: Place
  readonly chain: string
  readonly seq: number
  readonly what: string
}

export interface Links {
  readonly findings: readonly LinkFinding[]
  readonly notes: readonly string[]
  /** Chains that no other follows, and how many events at their ends no checkpoint covers. */
  readonly open: ReadonlyMap<string, number>
}

export interface LinkOptions {
  /** Whether what was cut off at the ends of files is there to be compared. */
  readonly torn: boolean
  /** Whether a chain of a service process may be missing, as in the key store, where the oldest leave first. */
  readonly mayExpire: boolean
}

/** `chains` stand in the order in which they were given, those without an event left out. */
export function checkLinks(chains: readonly ReadChain[], options: LinkOptions): Links {
  const checker = new LinkChecker(chains, options)
  for (const chain of chains) checker.check(chain)
  return checker.links()
}

class LinkChecker {
  readonly #chains: readonly ReadChain[]
  readonly #options: LinkOptions
  readonly #byId: ReadonlyMap<string, ReadChain>
  readonly #findings: LinkFinding[] = []
  readonly #notes: string[] = []
  /** Chains whose end another one names. */
  readonly #followed = new Set<string>()
  /** Chains of service processes, as they or others say. */
  readonly #ofProcesses = new Set<string>()
  /** The last event of a chain that the last checkpoint of another covers. */
  readonly #vouched = new Map<string, number>()

  constructor(chains: readonly ReadChain[], options: LinkOptions) {
    this.#chains = chains
    this.#options = options
    this.#byId = new Map(chains.map(chain => [chain.id, chain]))
    for (const { id, beginning, named } of chains) {
      for (const { chain } of beginning?.others ?? []) this.#ofProcesses.add(chain)
      for (const { chain } of named.heads) this.#ofProcesses.add(chain)
      if (beginning?.daemon === undefined) continue
      this.#ofProcesses.add(id)
      if (beginning.previous !== null) this.#ofProcesses.add(beginning.previous.chain)
    }
  }

  check(chain: ReadChain): void {
    const { beginning } = chain
    if (beginning !== undefined) {
      if (beginning.daemon === undefined) this.#checkDaemon(chain, beginning)
      else this.#checkProcess(chain, beginning, beginning.daemon)
    }
    for (const head of chain.named.heads) this.#checkNamed(chain, head)
  }

  links(): Links {
    const open = this.#chains
      .filter(({ id }) => !this.#followed.has(id))
      .map(({ id, seq, covered }) => [id, seq - Math.max(covered, this.#vouched.get(id) ?? 0)] as const)
    return { findings: this.#findings, notes: this.#notes, open: new Map(open) }
  }

  /** A daemon's chain: the daemon's before it must be there, unless the log begins with this one. */
  #checkDaemon(chain: ReadChain, { previous, others, place }: ChainBeginning & { readonly place: Place }): void {
    const ends = previous === null ? others : [previous, ...others]
    const unseen = ends.filter(({ fromStore }) => fromStore === true).map(end => `chain ${end.chain}`)
    if (unseen.length > 0)
      this.#notes.push(
        `chain ${chain.id} began without the files of ${unseen.join(', ')}: it names ends of the key store`,
      )
    const before = this.#chains.slice(0, this.#chains.indexOf(chain)).filter(({ id }) => !this.#ofProcesses.has(id))
    const nearest = before.at(-1)
    if (nearest !== undefined && nearest.id !== previous?.chain) {
      const named = previous === null ? 'none' : `chain ${previous.chain}`
      const what = `the chain follows ${named}, and chain ${nearest.id} stands before it: a chain was dropped or added`
      this.#find(chain, place, what)
    }
    const begins = nearest === undefined && !ends.some(end => this.#byId.has(end.chain))
    for (const end of ends) {
      if (this.#byId.has(end.chain)) this.#checkEnd(chain, end, place)
      else if (begins)
        this.#notes.push(`the log begins after event ${end.seq} of chain ${end.chain}, which was not given`)
      else if (end !== previous || nearest === undefined) this.#missing(chain, end, place)
    }
  }

  /** The chain of a service process: its daemon's is there as long as it is, and so are those before in its place. */
  #checkProcess(
    chain: ReadChain,
    { previous, place }: ChainBeginning & { readonly place: Place },
    daemon: string,
  ): void {
    if (!this.#byId.has(daemon)) this.#missing(chain, { chain: daemon, seq: 1 }, place)
    if (previous === null) return
    if (this.#byId.has(previous.chain)) this.#checkEnd(chain, previous, place)
    else this.#missing(chain, previous, place)
  }

  #checkEnd(chain: ReadChain, end: NamedEnd, place: Place): void {
    const before = this.#byId.get(end.chain)!
    if (end.fromStore === true && before.seq > end.seq) {
      // A copy of the key store is older than the files. The chain stays open: what stands behind the named end is not followed.
      this.#vouched.set(before.id, Math.max(end.seq, this.#vouched.get(before.id) ?? 0))
      this.#notes.push(
        `chain ${before.id} goes on behind event ${end.seq}, the last that the key store had when chain ${chain.id} began`,
      )
      return
    }
    this.#followed.add(before.id)
    if (end.seq !== before.seq || (before.hash !== '' && end.hash !== before.hash))
      this.#find(
        chain,
        place,
        `chain ${before.id} ended with event ${end.seq}, and ends with ${before.seq} here: its end was changed`,
      )
    // Files and a collector may have a checkpoint more than the key store had.
    else if (end.fromStore === true && !this.#options.mayExpire) return
    else if (before.checkpoint !== undefined && end.checkpoint !== before.checkpoint)
      this.#find(chain, place, `the last checkpoint of chain ${before.id} was removed or changed`)
    else if (this.#options.torn && end.tornBytes !== before.tornBytes)
      this.#find(chain, place, `the cut off line at the end of chain ${before.id} was changed`)
  }

  /** A checkpoint names an event of another chain. */
  #checkNamed(chain: ReadChain, head: ChainHead): void {
    const { place } = chain.named
    const other = this.#byId.get(head.chain)
    const hash = other?.recent.get(head.seq)
    if (other === undefined) this.#missing(chain, head, place, chain.covered)
    else if (other.seq < head.seq) {
      const what = `chain ${other.id} had event ${head.seq} when this checkpoint was signed, and ends with ${other.seq} here: events were removed`
      this.#find(chain, place, what, chain.covered)
    } else if (hash !== undefined && hash !== '' && hash !== head.hash) {
      const what = `events of chain ${other.id} up to ${head.seq} are not those that this checkpoint covers: some were changed, added or removed`
      this.#find(chain, place, what, chain.covered)
    } else this.#vouched.set(other.id, Math.max(head.seq, this.#vouched.get(other.id) ?? 0))
  }

  #missing(chain: ReadChain, { chain: id, seq }: Pick<ChainHead, 'chain' | 'seq'>, place: Place, at = 1): void {
    if (this.#options.mayExpire) this.#notes.push(`chain ${id} is not there any more`)
    else this.#find(chain, place, `chain ${id}, which had ${seq} events or more, is not there: it was removed`, at)
  }

  #find({ id }: ReadChain, place: Place, what: string, seq = 1): void {
    this.#findings.push({ place, chain: id, seq, what })
  }
}
