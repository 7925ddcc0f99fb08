/** One measured load on an HTTP server. The generator has a process of its own, whose CPU is counted apart. */
import { Child } from './child.ts'
import { cpuOf } from './cpu.ts'
import type { Count, Load, Target } from './load.ts'
import type { Latencies } from './pace.ts'

export interface Measured extends Count {
  /** What `readCpu` gave before and after. */
  readonly before: TreeReading
  readonly after: TreeReading
  readonly loadCpuUs: number
}

type TreeReading = { readonly rootUs: number; readonly belowUs: number }

/** Of an open loop. */
export interface Paced extends Latencies {
  readonly before: TreeReading
  readonly after: TreeReading
}

export class LoadGenerator implements AsyncDisposable {
  readonly #child = new Child<Load>('./load.ts')
  /** Of the measurements that follow. */
  connections: number

  constructor(connections: number) {
    this.connections = connections
  }

  /** Loads `target` for a time; `readCpu` is called right before the first request and right after the last answer. */
  async measure(target: Target, seconds: number, readCpu: () => TreeReading): Promise<Measured> {
    await this.#child.ask('prepare', { target, count: this.connections })
    const loadBefore = cpuOf(this.#child.pid)
    const before = readCpu()
    const count = await this.#child.ask('run', { seconds })
    const after = readCpu()
    const loadCpuUs = cpuOf(this.#child.pid) - loadBefore
    await this.#child.ask('close', null)
    return { ...count, before, after, loadCpuUs }
  }

  /** The same at a fixed rate, over as many connections as may be needed at once. */
  async pace(target: Target, perSecond: number, seconds: number, readCpu: () => TreeReading): Promise<Paced> {
    await this.#child.ask('prepare', { target, count: this.connections })
    const before = readCpu()
    const latencies = await this.#child.ask('pace', { perSecond, seconds })
    const after = readCpu()
    await this.#child.ask('close', null)
    return { ...latencies, before, after }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#child[Symbol.asyncDispose]()
  }
}
