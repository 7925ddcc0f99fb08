/**
 * A steady load of GenerateDataKey, Decrypt and ReEncrypt, signed as an SDK signs, without retries. Every answer is checked:
 * what was sealed, by whichever token and in whatever state that was, must open to the same bytes later.
 *
 * Each connection has one request out at a time and keeps a pace, so that a slow answer shows as one slow answer and does
 * not make the load lighter than it was afterwards.
 */
import { randomInt } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { bodyOf, Connection } from '../bench/connection.ts'
import { type Credentials, signedRequest } from '../bench/sigv4.ts'
import { Tally } from './tally.ts'

const KEYS = 4
const OPERATIONS = ['GenerateDataKey', 'Decrypt', 'ReEncrypt'] as const
type Operation = (typeof OPERATIONS)[number] | 'CreateKey'
const CONTEXT = { purpose: 'chaos' }
const DATA_KEY_BYTES = 32
/** Ciphertexts that are kept to be opened, the newest. */
const SEALED_MAX = 256
/** Well beyond every deadline of the daemon. */
const SILENCE_MS = 20_000
const RECONNECT_MS = 100
const STOP_MS = 1_000
const MS_PER_SECOND = 1_000

interface Sealed {
  readonly blob: string
  readonly plaintext: string
}

/** What an answer holds of what is looked at here. */
interface Answer {
  readonly __type?: string
  readonly KeyMetadata?: { readonly KeyId: string }
  readonly CiphertextBlob?: string
  readonly Plaintext?: string
}

export interface LoadPlan {
  readonly connections: number
  readonly requestsPerSecond: number
  readonly credentials: Credentials
}

export class SteadyLoad implements AsyncDisposable {
  readonly #plan: LoadPlan
  readonly #keyIds: string[] = []
  readonly #sealed: Sealed[] = []
  #tally = new Tally()
  #host = ''
  #port = 0
  #stopped = false
  #lanes: Promise<void>[] = []
  readonly #open = new Set<Connection>()

  constructor(plan: LoadPlan) {
    this.#plan = plan
  }

  /** Where the daemon is; it may have been started again. */
  aim(endpoint: string): void {
    const { hostname, port } = new URL(endpoint)
    this.#host = hostname
    this.#port = Number(port)
  }

  /** What comes in from now on is counted here. */
  countIn(tally: Tally): void {
    this.#tally = tally
  }

  /** Makes the keys, then starts. Rejects when no key can be made. */
  async start(): Promise<void> {
    const connection = await this.#connect()
    for (let count = 0; count < KEYS; count++) {
      const { KeyMetadata, __type } = await this.#ask(connection, 'CreateKey', { Description: 'npm run chaos' })
      if (KeyMetadata === undefined) throw new Error(`CreateKey: ${__type}`)
      this.#keyIds.push(KeyMetadata.KeyId)
    }
    this.#drop(connection)
    this.#lanes = Array.from({ length: this.#plan.connections }, (_, at) => this.#run(at))
  }

  /** Waits for the answers that are due, for a short while. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    await Promise.race([Promise.all(this.#lanes), sleep(STOP_MS, undefined, { ref: false })])
    for (const connection of this.#open) connection.close()
    this.#open.clear()
  }

  async #run(lane: number): Promise<void> {
    const { connections, requestsPerSecond } = this.#plan
    const paceMs = (connections / requestsPerSecond) * MS_PER_SECOND
    let due = performance.now() + (paceMs * lane) / connections
    let connection: Connection | undefined
    for (let turn = lane; !this.#stopped; turn++) {
      await sleep(Math.max(0, due - performance.now()))
      const startedAt = performance.now()
      due = Math.max(due + paceMs, startedAt)
      let failure: string | undefined
      try {
        connection ??= await this.#connect()
        failure = await this.#request(connection, OPERATIONS[turn % OPERATIONS.length]!)
      } catch (error) {
        failure = (error as Error).message
        if (connection !== undefined) this.#drop(connection)
        connection = undefined
        due += RECONNECT_MS
      }
      if (!this.#stopped) this.#tally.add(performance.now() - startedAt, failure)
    }
  }

  /** Sends one request and checks its answer. Returns what was wrong with it; throws when there was none. */
  async #request(connection: Connection, wanted: (typeof OPERATIONS)[number]): Promise<string | undefined> {
    const sealed = this.#sealed[randomInt(Math.max(1, this.#sealed.length))]
    const operation = sealed === undefined ? 'GenerateDataKey' : wanted
    const KeyId = this.#keyIds[randomInt(KEYS)]!
    const body = {
      GenerateDataKey: { KeyId, KeySpec: 'AES_256', EncryptionContext: CONTEXT },
      Decrypt: { CiphertextBlob: sealed?.blob, EncryptionContext: CONTEXT },
      ReEncrypt: {
        CiphertextBlob: sealed?.blob,
        SourceEncryptionContext: CONTEXT,
        DestinationKeyId: KeyId,
        DestinationEncryptionContext: CONTEXT,
      },
    }[operation]
    const { __type, CiphertextBlob, Plaintext } = await this.#ask(connection, operation, body)
    if (__type !== undefined) return __type
    if (operation === 'Decrypt') return Plaintext === sealed?.plaintext ? undefined : 'another plaintext'
    const plaintext = operation === 'ReEncrypt' ? sealed?.plaintext : Plaintext
    if (CiphertextBlob === undefined || Buffer.from(plaintext ?? '', 'base64').length !== DATA_KEY_BYTES)
      return 'an answer without what was asked for'
    this.#keep({ blob: CiphertextBlob, plaintext: plaintext! })
    return undefined
  }

  #keep(sealed: Sealed): void {
    if (this.#sealed.length < SEALED_MAX) this.#sealed.push(sealed)
    else this.#sealed[randomInt(SEALED_MAX)] = sealed
  }

  #ask(connection: Connection, operation: Operation, body: object): Promise<Answer> {
    const { credentials } = this.#plan
    const request = signedRequest(`${this.#host}:${this.#port}`, operation, JSON.stringify(body), credentials)
    return new Promise((resolve, reject) => {
      const silence = setTimeout(() => reject(new Error(`no answer for ${SILENCE_MS / MS_PER_SECOND} s`)), SILENCE_MS)
      const settle = (how: () => void) => {
        clearTimeout(silence)
        how()
      }
      connection.listen(
        bytes => settle(() => resolve(read(bytes))),
        error => settle(() => reject(error)),
      )
      connection.send(request)
    })
  }

  async #connect(): Promise<Connection> {
    const connection = await Connection.open(this.#host, this.#port)
    this.#open.add(connection)
    return connection
  }

  #drop(connection: Connection): void {
    connection.close()
    this.#open.delete(connection)
  }
}

/** The members of an answer; of an error, `__type` alone. */
function read(bytes: Buffer): Answer {
  try {
    return JSON.parse(bodyOf(bytes).toString('utf8')) as Answer
  } catch {
    return { __type: 'an answer that is no JSON' }
  }
}
