/** How far a long command has come: a bar with an estimate on a terminal, a line now and then elsewhere. */

export interface ProgressStream {
  write(text: string): unknown
  readonly isTTY?: boolean
}

const BAR_WIDTH = 30
/** Elsewhere than on a terminal: seldom enough for a log. */
const LINE_EVERY_MS = 5_000
const MS_PER_SECOND = 1_000
const SECONDS_PER_MINUTE = 60

/** `unit` in the plural, such as "records". Call `update` as often as there is news, `end` once. */
export class Progress {
  readonly #stream: ProgressStream
  readonly #unit: string
  readonly #now: () => number
  #startedAtMs: number | undefined
  #firstDone = 0
  #lastDone = 0
  #writtenAtMs = Number.NEGATIVE_INFINITY
  #barShown = false

  constructor(unit: string, stream: ProgressStream = process.stderr, now: () => number = () => performance.now()) {
    this.#unit = unit
    this.#stream = stream
    this.#now = now
  }

  update({ done, total }: { done: number; total: number }): void {
    const now = this.#now()
    // A command with a second part begins anew with it.
    if (this.#startedAtMs === undefined || done < this.#lastDone) {
      this.#startedAtMs = now
      this.#firstDone = done
    }
    this.#lastDone = done
    const remaining = this.#remaining(now, done, total)
    if (this.#stream.isTTY === true) {
      const filled = total === 0 ? BAR_WIDTH : Math.floor((done / total) * BAR_WIDTH)
      const bar = `${'#'.repeat(filled)}${'.'.repeat(BAR_WIDTH - filled)}`
      this.#stream.write(`\r[${bar}] ${done} of ${total} ${this.#unit}${remaining}\u001b[K`)
      this.#barShown = true
    } else if (done === total || now - this.#writtenAtMs >= LINE_EVERY_MS) {
      this.#stream.write(`${done} of ${total} ${this.#unit}${remaining}\n`)
      this.#writtenAtMs = now
    }
  }

  /** Leaves the bar as it is and begins a new line. */
  end(): void {
    if (this.#barShown) this.#stream.write('\n')
    this.#barShown = false
  }

  #remaining(now: number, done: number, total: number): string {
    const elapsedMs = now - (this.#startedAtMs ?? now)
    const progressed = done - this.#firstDone
    if (progressed <= 0 || elapsedMs <= 0 || done >= total) return ''
    const seconds = Math.ceil(((total - done) * (elapsedMs / progressed)) / MS_PER_SECOND)
    const perSecond = Math.round(progressed / (elapsedMs / MS_PER_SECOND))
    const left = seconds < SECONDS_PER_MINUTE ? `${seconds} s` : `${Math.ceil(seconds / SECONDS_PER_MINUTE)} min`
    return `, ${perSecond} a second, about ${left} left`
  }
}
