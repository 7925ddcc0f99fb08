/**
 * An HSM host without the pool before it: what goes over its channel is the test's to choose, record by record, and what
 * comes back is shown as it is.
 */
import { once } from 'node:events'
import { ByteWriter } from '../../src/base/bytes.ts'
import type { Args, CommandName, Result } from '../../src/hsm/contract/commands.ts'
import type { HsmFault } from '../../src/hsm/contract/fault.ts'
import type { EktReference } from '../../src/hsm/contract/fields.ts'
import {
  type Answer,
  FrameSplitter,
  readAnswer,
  readEvent,
  readFault,
  readResult,
  writeConfiguration,
  writeRequest,
} from '../../src/hsm/contract/frames.ts'
import { type HostConfiguration, type HostEvent, hostEvent } from '../../src/hsm/contract/host-configuration.ts'
import { HOST_ENTRY, type HostProcess, spawnHost } from '../../src/hsm/pool/host-process.ts'

export type Outcome<C extends CommandName> =
  | { readonly outcome: 'result'; readonly result: Result<C> }
  | { readonly outcome: 'fault'; readonly fault: HsmFault }
  | { readonly outcome: 'need-record' }

/** Which EKTs travel as digests alone. */
type Bare = 'records' | 'digests' | ((ekt: EktReference) => boolean)

export class Host implements AsyncDisposable {
  readonly #process: HostProcess
  readonly #answers: Answer[] = []
  #arrived: () => void = () => {}
  #nextId = 1

  private constructor(process: HostProcess) {
    this.#process = process
    const splitter = new FrameSplitter()
    process.channel.on('error', () => {})
    process.channel.on('data', (chunk: Buffer) => {
      splitter.push(Buffer.from(chunk), frame => this.#answers.push(readAnswer(frame)))
      this.#arrived()
    })
    process.channel.once('close', () => this.#arrived())
  }

  /** The host, and the event that it told of itself. */
  static async start(configuration: HostConfiguration): Promise<{ host: Host; event: HostEvent }> {
    const host = new Host(spawnHost(HOST_ENTRY, () => {}))
    const writer = new ByteWriter()
    writeConfiguration(writer, configuration)
    host.#process.channel.write(writer.finish())
    const { body } = await host.#next()
    return { host, event: hostEvent.parse(readEvent(body)) }
  }

  async send<C extends CommandName>(name: C, args: Args<C>, bare: Bare = 'records'): Promise<Outcome<C>> {
    const writer = new ByteWriter()
    const holdsEkt = typeof bare === 'function' ? bare : () => bare === 'digests'
    writeRequest(writer, this.#nextId++, name, args, { holdsEkt })
    this.#process.channel.write(writer.finish())
    const { outcome, body } = await this.#next()
    if (outcome === 'result') return { outcome, result: readResult(name, body) }
    if (outcome === 'fault') return { outcome, fault: readFault(body) }
    if (outcome === 'need-record') return { outcome }
    throw new Error(`unexpected ${outcome}`)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { child, channel } = this.#process
    channel.end()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  }

  async #next(): Promise<Answer> {
    while (this.#answers.length === 0) {
      if (this.#process.channel.destroyed) throw new Error('the host closed its channel')
      await new Promise<void>(resolve => {
        this.#arrived = resolve
      })
    }
    return this.#answers.shift()!
  }
}
