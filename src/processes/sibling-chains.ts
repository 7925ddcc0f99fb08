/**
 * The audit chains of service processes, as they told last. The chain of a process that has ended stays open until the next one in its
 * place has closed it and tells of its own: so long its end is named in checkpoints, and events that belong to it are left alone.
 */
import type { ChainHead } from '../formats/audit-chain.ts'

/** Where the chain of a service process stands. */
export interface ChainStanding {
  readonly chain: string
  /** An event that the process has written and that the key store has, as all before it; undefined before the first. */
  readonly stored: ChainHead | undefined
  /** Why the process can record nothing; undefined when it can. */
  readonly failure: string | undefined
}

export class SiblingChains {
  /** By the number of the process. */
  readonly #standings = new Map<number, ChainStanding>()

  told(process: number, standing: ChainStanding): void {
    this.#standings.set(process, standing)
  }

  /** A process is no more: what kept it from recording keeps nobody. */
  left(process: number): void {
    const standing = this.#standings.get(process)
    if (standing !== undefined) this.#standings.set(process, { ...standing, failure: undefined })
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
    for (const [process, { failure }] of this.#standings)
      if (failure !== undefined) return { reason: `service process ${process}: ${failure}` }
    return undefined
  }
}
