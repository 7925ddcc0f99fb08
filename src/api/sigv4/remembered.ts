/**
 * What was made of a text, by the text: clients send the same few in every request. Bounded, for anybody can send a text:
 * when there are too many, all are forgotten.
 */
const TEXTS_MAX = 64
const TEXT_MAX_CHARACTERS = 512

export class Remembered<T> {
  readonly #made = new Map<string, T>()
  readonly #make: (text: string) => T

  constructor(make: (text: string) => T) {
    this.#make = make
  }

  /** Throws what making it throws; that is not remembered. */
  of(text: string): T {
    const known = this.#made.get(text)
    if (known !== undefined) return known
    const made = this.#make(text)
    if (text.length > TEXT_MAX_CHARACTERS) return made
    if (this.#made.size >= TEXTS_MAX) this.#made.clear()
    this.#made.set(text, made)
    return made
  }
}
