/**
 * Child processes that answer questions over Node's IPC, one at a time. A child ends when its parent does, however the
 * parent ended: the channel closes with it.
 */
import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** The questions a child answers. Arguments and results are plain JSON. */
export type Answers = Record<string, (argument: never) => unknown>

type Reply = { readonly value: unknown } | { readonly error: string }

/** Enough for a child that has children of its own to stop. */
const STOP_MS = 20_000

export class Child<A extends Answers> implements AsyncDisposable {
  readonly #process: ChildProcess
  readonly #ended: Promise<void>
  #waiting: PromiseWithResolvers<unknown> | undefined

  /** Starts a script of this folder. Its stdout is nobody's: the bench's own holds the report and nothing else. */
  constructor(script: string, environment: Readonly<Record<string, string>> = {}) {
    this.#process = fork(fileURLToPath(new URL(script, import.meta.url)), [], {
      env: { ...process.env, ...environment },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    })
    const ended = Promise.withResolvers<void>()
    this.#ended = ended.promise
    this.#process.on('message', (reply: Reply) => {
      const waiting = this.#waiting
      this.#waiting = undefined
      if ('error' in reply) waiting?.reject(new Error(`${script}: ${reply.error}`))
      else waiting?.resolve(reply.value)
    })
    this.#process.on('error', error => this.#waiting?.reject(error))
    this.#process.on('exit', (code, signal) => {
      this.#waiting?.reject(new Error(`${script} ended (${signal ?? code})`))
      ended.resolve()
    })
  }

  get pid(): number {
    return this.#process.pid!
  }

  /** Rejects with the child's error, or when the child ends. */
  ask<K extends keyof A & string>(question: K, argument: Parameters<A[K]>[0]): Promise<Awaited<ReturnType<A[K]>>> {
    if (this.#waiting !== undefined) throw new Error('one question at a time')
    if (!this.#process.connected) throw new Error(`a process of the bench has ended: it cannot ${question}`)
    this.#waiting = Promise.withResolvers()
    this.#process.send({ question, argument })
    return this.#waiting.promise as Promise<Awaited<ReturnType<A[K]>>>
  }

  /** Lets the child end by itself, and makes it end when it does not. */
  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.connected) this.#process.disconnect()
    const kill = setTimeout(() => this.#process.kill('SIGKILL'), STOP_MS)
    await this.#ended
    clearTimeout(kill)
  }
}

/** The child's side: answers until the parent is gone, then calls `leave` and exits. */
export function answer(answers: Answers, leave: () => void | Promise<void> = () => {}): void {
  process.on('message', async (message: { question: string; argument: never }) => {
    const reply: Reply = await Promise.try(answers[message.question]!, message.argument).then(
      value => ({ value }),
      (error: unknown) => ({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) }),
    )
    process.send?.(reply)
  })
  process.on('disconnect', async () => {
    await leave()
    process.exit()
  })
}
