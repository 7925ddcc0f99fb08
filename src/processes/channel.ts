/**
 * Questions and answers between the first process of a daemon and a service process, over the channel that Node gives a
 * process and its child. Both are of one program and trust each other; nothing of the crypto world is on it.
 */

/** What may be asked, by name: what goes along, and what comes back. */
export type Questions = Readonly<Record<string, { readonly ask: unknown; readonly answer: unknown }>>

export type Handlers<Q extends Questions> = {
  readonly [N in keyof Q]: (ask: Q[N]['ask']) => Q[N]['answer'] | Promise<Q[N]['answer']>
}

/** The other side is gone, or could not do what it was asked for. */
export class ChannelFailed extends Error {
  override readonly name = 'ChannelFailed'
}

/** The part of `process` and of `cluster.Worker` that is needed. */
export interface Port {
  send?(message: object, callback: (error: Error | null) => void): boolean
  on(event: 'message', listener: (message: unknown) => void): unknown
}

type Message =
  | { readonly ask: string; readonly id: number; readonly body: unknown }
  | { readonly answers: number; readonly body: unknown }
  | { readonly answers: number; readonly error: string }

interface Waiting {
  resolve(answer: unknown): void
  reject(error: Error): void
}

/** `Asked` is what this side asks, `Answered` what it answers. */
export class Channel<Asked extends Questions, Answered extends Questions> {
  readonly #port: Port
  readonly #handlers: Handlers<Answered>
  readonly #waiting = new Map<number, Waiting>()
  #asked = 0
  #closed: string | undefined

  constructor(port: Port, handlers: Handlers<Answered>) {
    this.#port = port
    this.#handlers = handlers
    port.on('message', message => this.#take(message as Message))
  }

  /** Questions and answers arrive in the order in which they are sent. Rejects with {@link ChannelFailed}. */
  ask<N extends keyof Asked & string>(name: N, body: Asked[N]['ask']): Promise<Asked[N]['answer']> {
    if (this.#closed !== undefined) return Promise.reject(new ChannelFailed(this.#closed))
    this.#asked += 1
    const id = this.#asked
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject })
      this.#send({ ask: name, id, body })
    })
  }

  /** The other side is gone: nothing is answered any more. */
  close(reason: string): void {
    this.#closed ??= reason
    for (const { reject } of this.#waiting.values()) reject(new ChannelFailed(reason))
    this.#waiting.clear()
  }

  #send(message: Message): void {
    this.#port.send?.(message, error => {
      if (error !== null) this.close(error.message)
    })
  }

  #take(message: Message): void {
    if ('ask' in message) {
      void this.#answer(message.ask, message.id, message.body)
      return
    }
    const waiting = this.#waiting.get(message.answers)
    this.#waiting.delete(message.answers)
    if ('error' in message) waiting?.reject(new ChannelFailed(message.error))
    else waiting?.resolve(message.body)
  }

  async #answer(name: keyof Answered, id: number, ask: unknown): Promise<void> {
    let answer: Message
    try {
      answer = { answers: id, body: await this.#handlers[name]?.(ask) }
    } catch (error) {
      answer = { answers: id, error: (error as Error).message }
    }
    if (this.#closed === undefined) this.#send(answer)
  }
}
