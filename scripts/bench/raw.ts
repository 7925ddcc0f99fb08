/** The token's own limit: raw loops, as many processes at once as the sandbox has tokens, each on a token of its own. */
import { Child } from './child.ts'
import { cpuOf } from './cpu.ts'
import type { Operation, Sample, Server } from './operations.ts'
import type { RawLoop } from './raw-loop.ts'
import { TokenDirectory } from './tokens.ts'

const PROCESSES = 2

export class RawTokens implements Server {
  readonly name = 'raw'
  readonly #loops: readonly Child<RawLoop>[]
  readonly #held = new AsyncDisposableStack()

  constructor() {
    this.#loops = Array.from({ length: PROCESSES }, () => {
      const directory = this.#held.use(new TokenDirectory())
      return this.#held.use(new Child<RawLoop>('./raw-loop.ts', directory.environment))
    })
  }

  offers(): boolean {
    return true
  }

  /** From now on each loop uses so many AES keys in turn: their objects are more than a processor's caches hold. */
  async useKeys(keys: number): Promise<void> {
    await Promise.all(this.#loops.map(loop => loop.ask('useKeys', { keys })))
  }

  async measure(operation: Operation, seconds: number): Promise<Sample> {
    await Promise.all(this.#loops.map(loop => loop.ask('prepare', { operation })))
    const before = this.#cpu()
    const counts = await Promise.all(this.#loops.map(loop => loop.ask('run', { operation, seconds })))
    const cpu = this.#cpu() - before
    const operations = counts.reduce((sum, count) => sum + count.operations, 0)
    const opsPerSec = counts.reduce((sum, count) => sum + count.operations / count.seconds, 0)
    return { operations, opsPerSec, cpuUs: cpu / operations }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#held.disposeAsync()
  }

  #cpu(): number {
    return this.#loops.reduce((sum, loop) => sum + cpuOf(loop.pid), 0)
  }
}
