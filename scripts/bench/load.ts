/**
 * Child process: the load generator. It shares the machine's cores with the server it measures, so a request is one
 * write of bytes made beforehand, and an answer is looked at only as far as needed to see that it is whole and a success.
 *
 * Closed loop: every connection has one request out at a time, and sends the next when the answer is there.
 */
import { connect, type Socket } from 'node:net'
import { answer } from './child.ts'
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

const READ_BYTES = 16_384
/** A signature is good for five minutes; it is renewed well before. */
const SIGNATURE_LIFE_MS = 120_000
/** No answer for this long ends the run. */
const SILENCE_MS = 10_000
const ERROR_EXCERPT_BYTES = 2_000

const HEAD_END = Buffer.from('\r\n\r\n')
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n')
const SUCCESS = Buffer.from('HTTP/1.1 200')

let requests: Buffer[] = []
let turn = 0
let connections: Connection[] = []
let renewal: NodeJS.Timeout | undefined

function sign({ host, port, path, bodies, kms }: Target): Buffer[] {
  const authority = `${host}:${port}`
  return bodies.map(body => {
    if (kms !== undefined) return signedRequest(authority, kms.operation, body, kms.credentials)
    const length = String(Buffer.byteLength(body))
    const headers = { host: authority, 'content-type': 'application/json', 'content-length': length }
    return httpPost(path, { ...headers, connection: 'keep-alive' }, body)
  })
}

class Connection {
  readonly #socket: Socket
  /** What has arrived of an answer that came in several reads. */
  #partial: Buffer | undefined
  #onAnswer: () => void = () => {}
  #onFailure: (error: Error) => void = () => {}

  /** Resolves when connected. */
  static open(host: string, port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const connection: Connection = new Connection(host, port, () => resolve(connection))
      connection.#onFailure = reject
    })
  }

  private constructor(host: string, port: number, connected: () => void) {
    // One buffer for all reads of a connection: an answer is never kept.
    const onread = {
      buffer: Buffer.allocUnsafe(READ_BYTES),
      callback: (length: number, buffer: Uint8Array) => this.#read(buffer as Buffer, length),
    }
    this.#socket = connect({ host, port, noDelay: true, onread }, connected)
    this.#socket.on('error', error => this.#onFailure(error))
    this.#socket.on('close', () => this.#onFailure(new Error('the server closed the connection')))
  }

  listen(onAnswer: () => void, onFailure: (error: Error) => void): void {
    this.#onAnswer = onAnswer
    this.#onFailure = onFailure
  }

  send(): void {
    this.#socket.write(requests[turn++ % requests.length]!)
  }

  close(): void {
    this.listen(
      () => {},
      () => {},
    )
    this.#socket.destroy()
  }

  #read(buffer: Buffer, length: number): boolean {
    const chunk = buffer.subarray(0, length)
    const bytes = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk])
    if (!isWhole(bytes)) {
      this.#partial = Buffer.from(bytes)
      return true
    }
    this.#partial = undefined
    if (SUCCESS.compare(bytes, 0, SUCCESS.length) === 0) this.#onAnswer()
    else this.#onFailure(new Error(`not a success:\n${bytes.toString('utf8', 0, ERROR_EXCERPT_BYTES)}`))
    return true
  }
}

/** Whether an HTTP answer has arrived in full. There is never more than one: the next request has not been sent. */
function isWhole(bytes: Buffer): boolean {
  const headEnd = bytes.indexOf(HEAD_END)
  if (headEnd < 0) return false
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString('latin1', 0, headEnd))
  if (length !== null) return bytes.length >= headEnd + HEAD_END.length + Number(length[1])
  return bytes.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)
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
      connection.listen(() => {
        operations += 1
        const now = performance.now()
        if (now < endsAt) connection.send()
        else if (--busy === 0) resolve({ operations, seconds: (now - startedAt) / 1_000 })
      }, reject)
      connection.send()
    }
    return promise.finally(() => clearInterval(silence))
  },

  close(_: null): void {
    clearInterval(renewal)
    for (const connection of connections.splice(0)) connection.close()
  },
}
export type Load = typeof answers

answer(answers)
