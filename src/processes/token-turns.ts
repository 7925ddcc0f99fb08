/** The turns of all processes of a daemon to open a token: kept by the first, in the order in which they were asked for. */
import type { StartTurns, TurnAnswer } from '../hsm/pool/start-turns.ts'

interface Asking {
  readonly owner: object
  grant(answer: TurnAnswer): void
}

interface TokenLine {
  /** Whose turn it is. */
  owner: object | undefined
  waiting: Asking[]
  /** Why the PIN must not be tried. */
  refusal: string | undefined
}

export class TokenTurns {
  /** By PKCS#11 URI. */
  readonly #lines = new Map<string, TokenLine>()

  /** The turns of one process, `owner`. */
  of(owner: object): StartTurns {
    return {
      take: uri => this.#take(uri, owner),
      end: (uri, refusal) => this.#end(uri, owner, refusal),
    }
  }

  /** An operator says that the PIN of a token may be tried again. */
  allow(uri: string): void {
    this.#lineOf(uri).refusal = undefined
  }

  /** A process is gone, and its turns with it. */
  leave(owner: object): void {
    for (const [uri, line] of this.#lines) {
      line.waiting = line.waiting.filter(asking => asking.owner !== owner)
      this.#end(uri, owner, undefined)
    }
  }

  #take(uri: string, owner: object): Promise<TurnAnswer> {
    const line = this.#lineOf(uri)
    if (line.refusal !== undefined) return Promise.resolve({ refusal: line.refusal })
    return new Promise(grant => {
      line.waiting.push({ owner, grant })
      this.#next(line)
    })
  }

  #end(uri: string, owner: object, refusal: string | undefined): void {
    const line = this.#lineOf(uri)
    if (line.owner !== owner) return
    line.owner = undefined
    line.refusal = refusal
    if (refusal === undefined) this.#next(line)
    else for (const { grant } of line.waiting.splice(0)) grant({ refusal })
  }

  #next(line: TokenLine): void {
    if (line.owner !== undefined) return
    const next = line.waiting.shift()
    line.owner = next?.owner
    next?.grant({ refusal: undefined })
  }

  #lineOf(uri: string): TokenLine {
    const line = this.#lines.get(uri) ?? { owner: undefined, waiting: [], refusal: undefined }
    this.#lines.set(uri, line)
    return line
  }
}
