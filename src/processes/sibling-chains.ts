/**
 * The audit chains of service processes, as they told last, and whether they can do their work. The chain of a process that has
 * ended stays open until the next one in its place has closed it and tells of its own: so long its end is named in checkpoints, and
 * events that belong to it are left alone.
 */
import type { ChainHead } from '../formats/audit-chain.ts'

/** Where the chain of a service process stands, and the process itself. */
export interface ChainStanding {
  readonly chain: string
  /** An event that the process has written and that the key store has, as all before it; undefined before the first. */
  readonly stored: ChainHead | undefined
  /** Why the process can record nothing; undefined when it can. */
  readonly failure: string | undefined
  /** Why it can change nothing in the key store; undefined when it can. */
  readonly unwritable: string | undefined
  /** Whether each region has a token that serves the process. */
  readonly ready: boolean
}

export class SiblingChains {
  /** By the number of the process. */
  readonly #standings = new Map<number, ChainStanding>()

  told(process: number, standing: ChainStanding): void {
    this.#standings.set(process, standing)
  }

  /** Each region has a token that serves the process: it has said so before its standing tells it. */
  becameReady(process: number): void {
    const standing = this.#standings.get(process)
    if (standing !== undefined) this.#standings.set(process, { ...standing, ready: true })
  }

  /** A process is no more: what kept it from its work keeps nobody, and it serves nobody. */
  left(process: number): void {
    const standing = this.#standings.get(process)
    const over = { failure: undefined, unwritable: undefined, ready: false }
    if (standing !== undefined) this.#standings.set(process, { ...standing, ...over })
  }

  /** For checkpoints: what they name stands in the files and in the key store. */
  heads(): readonly ChainHead[] {
    return [...this.#standings.values()].flatMap(({ stored }) => stored ?? [])
  }

  isOpen(chain: string): boolean {
    return [...this.#standings.values()].some(standing => standing.chain === chain)
  }

  /** Why one of them can record nothing; undefined when all can. */
  get failure(): { readonly reason: string } | undefined {
    const reason = this.#first(({ failure }) => failure)
    return reason === undefined ? undefined : { reason }
  }

  /** Why one of them can change nothing in the key store; undefined when all can. */
  get unwritable(): string | undefined {
    return this.#first(({ unwritable }) => unwritable)
  }

  /** Whether a process has in each region a token that serves it. */
  isReady(process: number): boolean {
    return this.#standings.get(process)?.ready === true
  }

  #first(what: (standing: ChainStanding) => string | undefined): string | undefined {
    for (const [process, standing] of this.#standings) {
      const reason = what(standing)
      if (reason !== undefined) return `service process ${process}: ${reason}`
    }
    return undefined
  }
}
