/**
 * Fills a key store with keys, much faster than CreateKey, while no daemon runs on it: copies of one key that CreateKey made,
 * each with an id and an HBK of its own. They are written through the store itself, many to a transaction, so that a daemon
 * finds nothing wrong with any of them.
 */

import type { HsmPool } from '../../src/hsm/pool/pool.ts'
import { createBackingKey } from '../../src/keyring/backing-keys.ts'
import { arnOf, type KmsKey } from '../../src/model/key.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import type { Store } from '../../src/store/store.ts'

/** Keys of one transaction; as many HBKs are made at once. */
const BATCH = 256
const REPORTED_KEYS = 10_000

export class StoreFiller {
  readonly #store: Store
  readonly #pool: HsmPool
  readonly #template: KmsKey

  constructor(store: Store, pool: HsmPool, template: KmsKey) {
    this.#store = store
    this.#pool = pool
    this.#template = template
  }

  /** Adds so many keys, and returns their ids; `progress` hears of every ten thousandth. */
  async add(count: number, progress: (added: number) => void): Promise<string[]> {
    const ids: string[] = []
    let next = this.#make(Math.min(BATCH, count))
    while (ids.length < count) {
      const keys = await next
      // The tokens make the next ones while these are written.
      next = this.#make(Math.min(BATCH, count - ids.length - keys.length))
      await this.#store.transaction(async tx => {
        for (const key of keys) await tx.insertKey(key)
      })
      const before = ids.length
      ids.push(...keys.map(({ id }) => id))
      if (Math.floor(ids.length / REPORTED_KEYS) > Math.floor(before / REPORTED_KEYS)) progress(ids.length)
    }
    return ids
  }

  #make(count: number): Promise<KmsKey[]> {
    return Promise.all(Array.from({ length: count }, () => this.#copy()))
  }

  async #copy(): Promise<KmsKey> {
    const { account, region, spec, usage, createdAtMs } = this.#template
    const id = newKeyId()
    const kid = kidOf(id)
    const parts = { store: this.#store, clock: Date.now }
    const request = { account, kid, keySpec: spec, keyUsage: usage }
    const home = { resident: false, serials: undefined }
    const { ekt, mid } = await createBackingKey(parts, this.#pool, request, home)
    const current = { id: mid.toString('hex'), state: 'CURRENT', createdAtMs, ekt } as const
    const materials = new Map([[current.id, current]])
    return { ...this.#template, id, kid, arn: arnOf({ region, account, id }), materials, current }
  }
}
