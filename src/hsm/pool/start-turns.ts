/**
 * Who opens a token when, among processes that have hosts of their own for it: one at a time, and none once the token has
 * refused the PIN, so that a wrong PIN is tried once and not by each of them.
 */

/** What a process that asked for its turn is told: to go on, or that the PIN was refused, and why. */
export interface TurnAnswer {
  readonly refusal: string | undefined
}

export interface StartTurns {
  /** Resolves when it is this process' turn to open the token, and then {@link end} is due; a refusal is no turn. */
  take(uri: string): Promise<TurnAnswer>
  /** The turn is over; `refusal` says why the PIN must not be tried again. */
  end(uri: string, refusal: string | undefined): void
}

/** The turn of one member. */
export class StartTurn {
  readonly #turns: StartTurns
  readonly #uri: string
  readonly #told: { granted(): void; refused(reason: string): void }
  #state: 'none' | 'asked' | 'mine' = 'none'

  constructor(turns: StartTurns, uri: string, told: { granted(): void; refused(reason: string): void }) {
    this.#turns = turns
    this.#uri = uri
    this.#told = told
  }

  /** Whether it is its turn. Asks for it when it is not; `granted` or `refused` is called in time. */
  isMine(): boolean {
    if (this.#state === 'none') {
      this.#state = 'asked'
      this.#turns.take(this.#uri).then(
        ({ refusal }) => this.#answered(refusal),
        () => {
          // Whoever gives turns is gone, and this process goes with it.
        },
      )
    }
    return this.#state === 'mine'
  }

  /** Nothing happens when it is not its turn. */
  end(refusal?: string): void {
    if (this.#state !== 'mine') return
    this.#state = 'none'
    this.#turns.end(this.#uri, refusal)
  }

  #answered(refusal: string | undefined): void {
    this.#state = refusal === undefined ? 'mine' : 'none'
    if (refusal === undefined) this.#told.granted()
    else this.#told.refused(refusal)
  }
}
