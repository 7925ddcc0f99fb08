/**
 * Secrets of access keys, which only the crypto world opens: it makes and seals a new one, and returns the SigV4 signing
 * key of one day, region and service. Those are kept here, bounded, and are worthless the day after.
 */
import { LRUCache } from 'lru-cache'
import type { SecretOwner } from '../formats/sealed-secret.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { DaemonKey } from '../store/records.ts'
import { kmsErrorOf } from './faults.ts'

const SIGNING_KEYS_MAX = 10_000
/** Longer than a day's scope can be used, so that no key outlives its use by much. */
const SIGNING_KEY_LIFETIME_MS = 26 * 3_600_000

/** What a signing key is for, as the credential scope names it. */
export interface SigningScope {
  readonly date: string
  readonly region: string
  readonly service: string
}

export class Secrets {
  readonly #pool: HsmPool
  #daemonKey: DaemonKey
  readonly #onOpened: () => void
  readonly #signingKeys = new LRUCache<string, Promise<Buffer> | Buffer>({
    max: SIGNING_KEYS_MAX,
    ttl: SIGNING_KEY_LIFETIME_MS,
    dispose: key => {
      if (Buffer.isBuffer(key)) key.fill(0)
    },
  })

  /** `daemonKey` is the HBK that seals secrets; its region's pool opens them. */
  constructor(pool: HsmPool, daemonKey: DaemonKey, onOpened: () => void = () => {}) {
    this.#pool = pool
    this.#daemonKey = daemonKey
    this.#onOpened = onOpened
  }

  /** The record of the same HBK after a rotation of the domain. */
  useDaemonKey(daemonKey: DaemonKey): void {
    this.#daemonKey = daemonKey
  }

  /** A new secret: 40 characters to show once, and its sealed form to store. The caller wipes the first. */
  async create(owner: SecretOwner): Promise<{ secret: Buffer; sealed: Buffer }> {
    try {
      const { secret, sealed } = await this.#pool.call('createAccessKeySecret', { ekt: this.#daemonKey.ekt, ...owner })
      return { secret, sealed: Buffer.from(sealed) }
    } catch (error) {
      throw kmsErrorOf(error)
    }
  }

  /** The signing key: at once when it was opened before, a promise when the crypto world must be asked. */
  signingKey(owner: SecretOwner, sealed: Buffer, scope: SigningScope): Buffer | Promise<Buffer> {
    const name = `${owner.accessKeyId}/${scope.date}/${scope.region}/${scope.service}`
    return this.#signingKeys.get(name) ?? this.#open(name, owner, sealed, scope)
  }

  #open(name: string, owner: SecretOwner, sealed: Buffer, scope: SigningScope): Promise<Buffer> {
    const opening = this.#pool.call('openSigningKey', { ekt: this.#daemonKey.ekt, sealed, ...owner, ...scope }).then(
      ({ signingKey }) => {
        const key = Buffer.from(signingKey)
        signingKey.fill(0)
        this.#signingKeys.set(name, key)
        this.#onOpened()
        return key
      },
      error => {
        this.#signingKeys.delete(name)
        throw kmsErrorOf(error)
      },
    )
    this.#signingKeys.set(name, opening)
    return opening
  }
}
