/** How a store learns that another process has changed it, when nobody says so. */
import type { Database } from './dialects/database.ts'
import { findChangeCount } from './sql/change-count.ts'
import type { ViewKeeper } from './view.ts'

/** A change made by another process is seen within a second (design.md 5): twice as often, for a timer that comes late. */
const POLL_MS = 500
/** Where siblings tell of theirs, a change is another's only when it is still unexplained at the next look. */
const POLL_TOLD_MS = 250
/** After a look that came in the middle of a commit of this process. */
const LOOK_AGAIN_MS = 20

/** Looks now and then whether others have committed. */
export interface Watch {
  /** Looks now: afterwards memory holds nothing that others have changed, or the view's keeper knows why that is not known. */
  look(): void
  stop(): void
}

export interface WatchParts {
  readonly database: Pick<Database, 'foreignCommits' | 'reader'>
  /** Who is told when memory is known to be current. */
  readonly view: ViewKeeper
  /** Others have committed, or it cannot be known whether they have: memory is to forget all. */
  readonly onChange: () => void
}

/** Takes every commit of another process for a change that memory does not know. */
export class ForeignChanges implements Watch {
  readonly #parts: WatchParts
  readonly #timer: NodeJS.Timeout
  /** Undefined after a look that failed: what was committed until the next one is not known. */
  #seen: number | undefined
  #again: NodeJS.Timeout | undefined

  constructor(parts: WatchParts) {
    this.#parts = parts
    this.#seen = parts.database.foreignCommits()
    this.#timer = setInterval(() => this.#lookInTime(), POLL_MS).unref()
  }

  /** Who may have made a commit is not waited for: memory forgets all then. */
  look(): void {
    this.#look(atMs => {
      this.#parts.onChange()
      this.#parts.view.confirmed(atMs)
    })
  }

  stop(): void {
    clearInterval(this.#timer)
    clearTimeout(this.#again)
  }

  #lookInTime(): void {
    clearTimeout(this.#again)
    this.#look(() => {
      this.#again = setTimeout(() => this.#lookInTime(), LOOK_AGAIN_MS).unref()
    })
  }

  #look(undecided: (atMs: number) => void): void {
    const { database, view, onChange } = this.#parts
    const atMs = performance.now()
    try {
      const commits = database.foreignCommits()
      if (commits === undefined) {
        undecided(atMs)
        return
      }
      if (commits !== this.#seen) onChange()
      this.#seen = commits
      view.confirmed(atMs)
    } catch (error) {
      this.#seen = undefined
      onChange()
      view.failed(error)
    }
  }
}

/**
 * The same among processes that tell each other of every change: only one that none of them has made is called back for, so
 * that memory outlives what siblings write.
 */
export class UntoldChanges implements Watch {
  readonly #parts: WatchParts
  readonly #timer: NodeJS.Timeout
  /** Changes that came before the one after {@link #explained}. */
  readonly #told = new Set<number>()
  /** All changes up to this number are known. */
  #explained: number
  /** The number that was missing at the last look. */
  #missing: number | undefined
  /** The last change that a look found, when not all up to it were known, and when that was. */
  #found: { readonly change: number; readonly atMs: number } | undefined
  /** Undefined before the first look, and after one that failed. */
  #commits: number | undefined
  #comparing = false

  private constructor(parts: WatchParts, explained: number) {
    this.#parts = parts
    this.#explained = explained
    this.#timer = setInterval(() => void this.#lookClosely(), POLL_TOLD_MS).unref()
  }

  static async watch(parts: WatchParts): Promise<UntoldChanges> {
    return new UntoldChanges(parts, await findChangeCount(parts.database.reader))
  }

  /** This process, or a sibling, has made the change of this number. */
  told(change: number): void {
    if (change > this.#explained) this.#told.add(change)
    this.#advance()
  }

  /** Who may have made a commit is not waited for: memory forgets all when there is one. The timer finds that out later. */
  look(): void {
    const { database, view, onChange } = this.#parts
    const atMs = performance.now()
    try {
      const commits = database.foreignCommits()
      const known = commits !== undefined && commits === this.#commits
      if (!known || this.#missing !== undefined || this.#comparing) onChange()
      view.confirmed(atMs)
    } catch (error) {
      this.#lose(error)
    }
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  async #lookClosely(): Promise<void> {
    if (this.#comparing) return
    this.#comparing = true
    const atMs = performance.now()
    try {
      const before = this.#commits
      this.#commits = this.#parts.database.foreignCommits()
      const known = this.#commits !== undefined && this.#commits === before
      if (known && this.#missing === undefined) this.#parts.view.confirmed(atMs)
      else await this.#compare(atMs)
    } catch (error) {
      this.#lose(error)
    } finally {
      this.#comparing = false
    }
  }

  async #compare(atMs: number): Promise<void> {
    const count = await findChangeCount(this.#parts.database.reader)
    const missing = count > this.#explained ? this.#explained + 1 : undefined
    const untold = missing !== undefined && missing === this.#missing
    this.#missing = untold ? undefined : missing
    if (untold) {
      this.#explained = count
      for (const change of this.#told) if (change <= count) this.#told.delete(change)
      this.#advance()
      this.#parts.onChange()
    }
    this.#confirm({ change: count, atMs })
  }

  /** The view is that of the latest look whose changes are all known by now. */
  #confirm(found: { readonly change: number; readonly atMs: number }): void {
    const known = [found, this.#found].find(each => each !== undefined && each.change <= this.#explained)
    if (known !== undefined) this.#parts.view.confirmed(known.atMs)
    const { change } = found
    if (change <= this.#explained) this.#found = undefined
    else if (this.#found === undefined || known !== undefined) this.#found = found
  }

  /** What cannot be read says why to those who ask; whatever is remembered may be old. */
  #lose(error: unknown): void {
    this.#commits = undefined
    this.#parts.onChange()
    this.#parts.view.failed(error)
  }

  #advance(): void {
    while (this.#told.delete(this.#explained + 1)) this.#explained += 1
  }
}
