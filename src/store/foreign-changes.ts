/** How a store learns that another process has changed it, when nobody says so. */
import type { Database } from './dialects/database.ts'
import { findChangeCount } from './sql/change-count.ts'

/** A change made by another process is seen within a second (design.md 5): twice as often, for a timer that comes late. */
const POLL_MS = 500
/** Where siblings tell of theirs, a change is another's only when it is still unexplained at the next look. */
const POLL_TOLD_MS = 250

/** Calls back when another process has committed, and when it cannot be known whether one has. Returns how to stop. */
export function watchForeignCommits(database: Database, onCommit: () => void): () => void {
  let seen: number | undefined = database.foreignCommits()
  const timer = setInterval(() => {
    const commits = countForeignCommits(database)
    if (commits !== seen || commits === undefined) onCommit()
    seen = commits
  }, POLL_MS)
  timer.unref()
  return () => clearInterval(timer)
}

/**
 * The same among processes that tell each other of every change: only one that none of them has made is called back for, so
 * that memory outlives what siblings write.
 */
export class UntoldChanges {
  readonly #database: Database
  readonly #onChange: () => void
  readonly #timer: NodeJS.Timeout
  /** Changes that came before the one after {@link #explained}. */
  readonly #told = new Set<number>()
  /** All changes up to this number are known. */
  #explained: number
  /** The number that was missing at the last look. */
  #missing: number | undefined
  #commits: number | undefined
  #looking = false

  private constructor(database: Database, explained: number, onChange: () => void) {
    this.#database = database
    this.#explained = explained
    this.#onChange = onChange
    this.#timer = setInterval(() => void this.#look(), POLL_TOLD_MS).unref()
  }

  static async watch(database: Database, onChange: () => void): Promise<UntoldChanges> {
    return new UntoldChanges(database, await findChangeCount(database.reader), onChange)
  }

  /** This process, or a sibling, has made the change of this number. */
  told(change: number): void {
    if (change > this.#explained) this.#told.add(change)
    this.#advance()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #look(): Promise<void> {
    if (this.#looking) return
    this.#looking = true
    const before = this.#commits
    this.#commits = countForeignCommits(this.#database)
    try {
      if (this.#commits !== before || this.#commits === undefined || this.#missing !== undefined) await this.#compare()
    } catch {
      // What cannot be read says why to those who ask; whatever is remembered may be old.
      this.#onChange()
    } finally {
      this.#looking = false
    }
  }

  async #compare(): Promise<void> {
    const count = await findChangeCount(this.#database.reader)
    const missing = count > this.#explained ? this.#explained + 1 : undefined
    const untold = missing !== undefined && missing === this.#missing
    this.#missing = untold ? undefined : missing
    if (!untold) return
    this.#explained = count
    for (const change of this.#told) if (change <= count) this.#told.delete(change)
    this.#advance()
    this.#onChange()
  }

  #advance(): void {
    while (this.#told.delete(this.#explained + 1)) this.#explained += 1
  }
}

/** Undefined when the database does not answer: the reads that follow say why to those who ask. */
function countForeignCommits(database: Database): number | undefined {
  try {
    return database.foreignCommits()
  } catch {
    return undefined
  }
}
