/** Lookups read much: of each account one runs at a time, and few wait for it. */
import { KmsError } from '../model/errors.ts'

/** More than people and their programs ask for at once; an SDK repeats what is refused after a pause. */
const WAITING_MAX = 8

interface Queue {
  /** Lookups that run or wait. */
  length: number
  /** Resolves when the last of them has ended. */
  ended: Promise<void>
}

export class LookupTurns {
  readonly #queues = new Map<string, Queue>()

  /** Runs `work` when those of the account before it have ended. Throws KmsError ThrottlingException when too many wait. */
  async take<T>(account: string, work: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(account) ?? { length: 0, ended: Promise.resolve() }
    if (queue.length > WAITING_MAX)
      throw new KmsError('ThrottlingException', 'Rate exceeded', {
        detail: 'too many lookups of the account at a time',
      })
    this.#queues.set(account, queue)
    const { ended: turn } = queue
    const own = Promise.withResolvers<void>()
    queue.length += 1
    queue.ended = own.promise
    try {
      await turn
      return await work()
    } finally {
      queue.length -= 1
      if (queue.length === 0) this.#queues.delete(account)
      own.resolve()
    }
  }
}
