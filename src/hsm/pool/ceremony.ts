/** The service's side of a ceremony process: started for an operator's command, ended with it. */
import {
  type CeremonyArgs,
  type CeremonyName,
  type CeremonyResult,
  readCeremonyAnswer,
  writeCeremonyRequest,
} from '../contract/ceremony.ts'
import { HsmFault } from '../contract/fault.ts'
import { FrameSplitter } from '../contract/frames.ts'
import { CEREMONY_ENTRY, type HostProcess, spawnHost } from './host-process.ts'

export class Ceremony implements AsyncDisposable {
  readonly #process: HostProcess
  readonly #splitter = new FrameSplitter()
  readonly #ended: Promise<void>
  #waiting: { resolve: (frame: Buffer) => void; reject: (error: Error) => void } | undefined
  /** Why no command can be answered any more. */
  #fault: HsmFault | undefined

  /** `onOutput` receives lines that the vendor's library writes. */
  constructor(onOutput: (line: string) => void = () => {}) {
    this.#process = spawnHost(CEREMONY_ENTRY, onOutput)
    const { child, channel } = this.#process
    channel.on('data', (chunk: Buffer) =>
      this.#splitter.push(chunk, frame => this.#waiting?.resolve(Buffer.from(frame))),
    )
    channel.on('error', () => {})
    this.#ended = new Promise(resolve => {
      child.once('close', (code, signal) => {
        this.#fault = new HsmFault('module', `the ceremony process ended (${signal ?? `code ${code}`})`)
        this.#waiting?.reject(this.#fault)
        resolve()
      })
    })
  }

  /** Sends one command and waits for its answer. Throws HsmFault. */
  async call<C extends CeremonyName>(name: C, args: CeremonyArgs<C>): Promise<CeremonyResult<C>> {
    if (this.#fault !== undefined) throw this.#fault
    const request = writeCeremonyRequest(name, args)
    const answered = new Promise<Buffer>((resolve, reject) => {
      this.#waiting = { resolve, reject }
    })
    this.#process.channel.write(request)
    return readCeremonyAnswer(name, await answered)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.channel.end()
    await this.#ended
  }
}
