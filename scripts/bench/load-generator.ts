/** One measured load on an HTTP server. The generator has a process of its own, whose CPU is counted apart. */
import { Child } from './child.ts'
import { cpuOf } from './cpu.ts'
import type { Count, Load, Target } from './load.ts'

export interface Measured extends Count {
  /** What `readCpu` gave before and after. */
  readonly before: TreeReading
  readonly after: TreeReading
  readonly loadCpuUs: number
}

type TreeReading = { readonly rootUs: number; readonly belowUs: number }

export class LoadGenerator implements AsyncDisposable {
  readonly #child = new Child<Load>('./load.ts')
  readonly #connections: number

  constructor(connections: number) {
    this.#connections = connections
  }

  /** Loads `target` for a time; `readCpu` is called right before the first request and right after the last answer. */
  async measure(target: Target, seconds: number, readCpu: () => TreeReading): Promise<Measured> {
    await this.#child.ask('prepare', { target, count: this.#connections })
    const loadBefore = cpuOf(this.#child.pid)
    const before = readCpu()
    const count = await this.#child.ask('run', { seconds })
    const after = readCpu()
    const loadCpuUs = cpuOf(this.#child.pid) - loadBefore
    await this.#child.ask('close', null)
    return { ...count, before, after, loadCpuUs }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child[Symbol.asyncDispose]()
  }
}
