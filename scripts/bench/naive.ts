/** The naive service under the same load as the daemon. */
import { Child } from './child.ts'
import { cpuOfTree } from './cpu.ts'
import type { LoadGenerator } from './load-generator.ts'
import type { NaiveServiceAnswers } from './naive-service.ts'
import { type Operation, type Sample, type Server, VARIANTS } from './operations.ts'
import { requestBodies } from './requests.ts'
import { TokenDirectory } from './tokens.ts'

const HOST = '127.0.0.1'
/** What such a tutorial shows. */
const NAIVE_OPERATIONS: ReadonlySet<Operation> = new Set(['GenerateDataKey', 'Encrypt', 'Decrypt'])

export class NaiveService implements Server {
  readonly name = 'naive'
  readonly #load: LoadGenerator
  readonly #held = new AsyncDisposableStack()
  readonly #child: Child<NaiveServiceAnswers>
  #port = 0
  #ciphertexts: string[] = []

  constructor(load: LoadGenerator) {
    this.#load = load
    const directory = this.#held.use(new TokenDirectory())
    this.#child = this.#held.use(new Child<NaiveServiceAnswers>('./naive-service.ts', directory.environment))
  }

  async start(): Promise<void> {
    this.#port = await this.#child.ask('port', null)
    const plaintexts = requestBodies('Encrypt', {})
    for (let count = 0; count < VARIANTS; count++) {
      const response = await fetch(`http://${HOST}:${this.#port}/Encrypt`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: plaintexts[count]!,
      })
      if (!response.ok) throw new Error(`naive service: ${await response.text()}`)
      this.#ciphertexts.push(((await response.json()) as { CiphertextBlob: string }).CiphertextBlob)
    }
  }

  offers(operation: Operation): boolean {
    return NAIVE_OPERATIONS.has(operation)
  }

  async measure(operation: Operation, seconds: number): Promise<Sample> {
    const bodies = requestBodies(operation, {}, { ciphertexts: this.#ciphertexts })
    const target = { host: HOST, port: this.#port, path: `/${operation}`, bodies }
    const run = await this.#load.measure(target, seconds, () => cpuOfTree(this.#child.pid))
    return {
      operations: run.operations,
      opsPerSec: run.operations / run.seconds,
      cpuUs: (run.after.rootUs - run.before.rootUs) / run.operations,
      loadCpuUs: run.loadCpuUs / run.operations,
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#held.disposeAsync()
  }
}
