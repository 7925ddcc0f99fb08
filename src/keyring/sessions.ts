/**
 * Temporary credentials: issued with a token that carries them sealed, and opened again from it. Nothing is stored; the
 * secret is seen here once, when it is issued, and after that only signing keys of one day, region and service.
 */
import { hash } from 'node:crypto'
import { LRUCache } from 'lru-cache'
import { wipe } from '../base/bytes.ts'
import { contextHash } from '../formats/aad.ts'
import { decodeSessionTerms, encodeSessionTerms, type SessionTerms } from '../formats/session-terms.ts'
import { encodeSessionToken, sealedSessionOf } from '../formats/session-token.ts'
import type { Args } from '../hsm/contract/commands.ts'
import { HsmFault } from '../hsm/contract/fault.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { DaemonKey } from '../store/records.ts'
import { SESSION_GATE_CONTEXT } from './daemon-keys.ts'
import { kmsErrorOf } from './faults.ts'
import type { SigningScope } from './secrets.ts'

const SESSIONS_MAX = 10_000
/** Longer than a day's scope can be used; a session's own end is looked at with every request. */
const SESSION_LIFETIME_MS = 26 * 3_600_000

/** A session as its token says it; the same object while it is held. */
export interface Session extends SessionTerms {
  readonly accessKeyId: string
}

export interface OpenedSession {
  readonly session: Session
  readonly signingKey: Buffer
}

export class Sessions {
  readonly #pool: HsmPool
  #sessionKey: DaemonKey
  #gateKeySource: DaemonKey
  #gateKey: Buffer | Promise<Buffer> | undefined
  readonly #opened = new LRUCache<string, OpenedSession | Promise<OpenedSession | undefined>>({
    max: SESSIONS_MAX,
    ttl: SESSION_LIFETIME_MS,
    dispose: opened => {
      if (!(opened instanceof Promise)) opened.signingKey.fill(0)
    },
  })

  /** The daemon's keys for sessions and for their gate, whose region's pool opens them. */
  constructor(pool: HsmPool, keys: { session: DaemonKey; gate: DaemonKey }) {
    this.#pool = pool
    this.#sessionKey = keys.session
    this.#gateKeySource = keys.gate
  }

  /** The records of the same HBKs after a rotation of the domain. */
  useSessionKey(daemonKey: DaemonKey): void {
    this.#sessionKey = daemonKey
  }

  useGateKey(daemonKey: DaemonKey): void {
    this.#gateKeySource = daemonKey
  }

  /** Makes temporary credentials. The terms must fit into a token. */
  async issue(accessKeyId: string, terms: SessionTerms): Promise<{ secretAccessKey: string; sessionToken: string }> {
    const gateKey = await this.#gate()
    try {
      const args = { ekt: this.#sessionKey.ekt, accessKeyId, terms: encodeSessionTerms(terms) }
      const { secret, sealed } = await this.#pool.call('sealSession', args)
      const secretAccessKey = secret.toString('ascii')
      wipe(secret)
      return { secretAccessKey, sessionToken: encodeSessionToken(sealed, gateKey) }
    } catch (error) {
      throw kmsErrorOf(error)
    }
  }

  /**
   * The session of a token, at once when it was opened before; undefined when the token is none of ours, or not of this
   * access key. Whether it is over, or its role gone, is for the caller of this to see.
   */
  open(
    token: string,
    accessKeyId: string,
    scope: SigningScope,
  ): OpenedSession | undefined | Promise<OpenedSession | undefined> {
    const name = `${hash('sha256', token, 'base64')}/${accessKeyId}/${scope.date}/${scope.region}/${scope.service}`
    return this.#opened.get(name) ?? this.#open(name, token, accessKeyId, scope)
  }

  async #open(
    name: string,
    token: string,
    accessKeyId: string,
    { date, region, service }: SigningScope,
  ): Promise<OpenedSession | undefined> {
    const sealed = sealedSessionOf(token, await this.#gate())
    if (sealed === undefined) return undefined
    const underWay = this.#opened.get(name)
    if (underWay !== undefined) return underWay
    const opening = this.#ask({ ekt: this.#sessionKey.ekt, sealed, accessKeyId, date, region, service }).then(
      opened => {
        if (opened === undefined) this.#opened.delete(name)
        else this.#opened.set(name, opened)
        return opened
      },
      error => {
        this.#opened.delete(name)
        throw kmsErrorOf(error)
      },
    )
    this.#opened.set(name, opening)
    return opening
  }

  async #ask(args: Args<'openSession'>): Promise<OpenedSession | undefined> {
    try {
      const { signingKey, terms } = await this.#pool.call('openSession', args)
      const key = Buffer.from(signingKey)
      signingKey.fill(0)
      return { session: { accessKeyId: args.accessKeyId, ...decodeSessionTerms(terms) }, signingKey: key }
    } catch (error) {
      // The gate let it in, so it was ours: of another access key, or of an HBK that is no longer in use.
      if (error instanceof HsmFault && error.kind === 'input') return undefined
      throw error
    }
  }

  /** One data key for all daemons of a deployment: it is opened once, and kept as long as the process lives. */
  #gate(): Buffer | Promise<Buffer> {
    if (this.#gateKey !== undefined) return this.#gateKey
    const { ekt, dataKey } = this.#gateKeySource
    if (dataKey === undefined) throw new TypeError("the daemon's key for the gate has no data key")
    const opening = this.#pool
      .call('decrypt', { ekt, blob: dataKey, contextHash: contextHash(SESSION_GATE_CONTEXT) })
      .then(
        ({ plaintext }) => {
          const key = Buffer.from(plaintext)
          plaintext.fill(0)
          this.#gateKey = key
          return key
        },
        error => {
          this.#gateKey = undefined
          throw kmsErrorOf(error)
        },
      )
    this.#gateKey = opening
    return opening
  }
}
