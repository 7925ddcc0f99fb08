/**
 * Child process: the load generator. Requests are made beforehand, and of an answer it is looked only whether it is a success.
 *
 * Closed loop (`run`): every connection has one request out at a time, and sends the next when the answer is there. Open
 * loop (`pace`): pace.ts.
 */
import { answer } from './child.ts'
import { Connection, isSuccess } from './connection.ts'
import { type Latencies, pace } from './pace.ts'
import { type Credentials, httpPost, signedRequest } from './sigv4.ts'

/** The requests of one operation, sent in turn. With `operation` they are KMS requests and signed. */
export interface Target {
  readonly host: string
  readonly port: number
  readonly path: string
  readonly bodies: readonly string[]
  readonly kms?: { readonly operation: string; readonly credentials: Credentials }
}

export interface Count {
  readonly operations: number
  readonly seconds: number
}

/** A signature is good for five minutes; it is renewed well before. */
const SIGNATURE_LIFE_MS = 120_000
/** No answer for this long ends the run. */
const SILENCE_MS = 10_000
const ERROR_EXCERPT_BYTES = 2_000

let requests: Buffer[] = []
let turn = 0
let connections: Connection[] = []
let renewal: NodeJS.Timeout | undefined

const nextRequest = () => requests[turn++ % requests.length]!

function sign({ host, port, path, bodies, kms }: Target): Buffer[] {
  const authority = `${host}:${port}`
  return bodies.map(body => {
    if (kms !== undefined) return signedRequest(authority, kms.operation, body, kms.credentials)
    const length = String(Buffer.byteLength(body))
    const headers = { host: authority, 'content-type': 'application/json', 'content-length': length }
    return httpPost(path, { ...headers, connection: 'keep-alive' }, body)
  })
}

const answers = {
  /** Signs the requests and opens the connections; neither is part of what is measured. */
  async prepare({ target, count }: { target: Target; count: number }): Promise<void> {
    requests = sign(target)
    renewal = setInterval(() => {
      requests = sign(target)
    }, SIGNATURE_LIFE_MS)
    const { host, port } = target
    connections = await Promise.all(Array.from({ length: count }, () => Connection.open(host, port)))
  },

  /** Keeps every connection busy for a time, then waits for the answers that are due. Rejects at the first failure. */
  run({ seconds }: { seconds: number }): Promise<Count> {
    const { promise, resolve, reject } = Promise.withResolvers<Count>()
    const startedAt = performance.now()
    const endsAt = startedAt + seconds * 1_000
    let operations = 0
    let busy = connections.length
    let seen = -1
    const silence = setInterval(() => {
      if (operations === seen) reject(new Error(`no answer for ${SILENCE_MS / 1_000} s`))
      seen = operations
    }, SILENCE_MS)
    for (const connection of connections) {
      connection.listen(bytes => {
        if (!isSuccess(bytes)) {
          reject(new Error(`not a success:\n${bytes.toString('utf8', 0, ERROR_EXCERPT_BYTES)}`))
          return
        }
        operations += 1
        const now = performance.now()
        if (now < endsAt) connection.send(nextRequest())
        else if (--busy === 0) resolve({ operations, seconds: (now - startedAt) / 1_000 })
      }, reject)
      connection.send(nextRequest())
    }
    return promise.finally(() => clearInterval(silence))
  },

  pace(rate: { perSecond: number; seconds: number }): Promise<Latencies> {
    return pace(connections, nextRequest, rate)
  },

  close(_: null): void {
    clearInterval(renewal)
    for (const connection of connections.splice(0)) connection.close()
  },
}
export type Load = typeof answers

answer(answers)
