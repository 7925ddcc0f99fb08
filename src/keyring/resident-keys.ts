/**
 * HBKs that stay in the token that made them. What is in a token cannot be in one transaction with the store, so the order
 * keeps what is acknowledged usable (security.md 4.2): a row `creating` with the CKA_ID, the object, then the record with
 * the row `ready`, then the answer. A crash in between leaves an object that no record names and no key uses; it is
 * reported (resident-report.ts), and an operator decides. Deletion goes the other way and is repeated until confirmed (4.4).
 */
import { hash, randomBytes } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { residentCkaId } from '../formats/resident-key.ts'
import type { Args } from '../hsm/contract/commands.ts'
import { HsmFault } from '../hsm/contract/fault.ts'
import { type HsmPool, PoolUnavailable } from '../hsm/pool/pool.ts'
import { KmsError } from '../model/errors.ts'
import type { Ekt } from '../model/key.ts'
import type { DoomedObject, ResidentObject } from '../store/records.ts'
import type { Store } from '../store/store.ts'

const RANDOM_BYTES = 15

export interface ResidentParts {
  readonly store: Store
  readonly clock: Clock
}

export interface NewResidentKey {
  readonly ekt: Ekt
  readonly mid: Buffer
  /** SubjectPublicKeyInfo of a key pair. */
  readonly publicKey?: Buffer
}

/**
 * Makes an HBK in the token with the fewest of those that `serials` names, and in another one when that is full or fails. The row of its object is
 * `creating` until the record that is returned is stored. Throws KmsError LimitExceededException when all tokens are full,
 * and what the pool throws.
 */
export async function createResidentKey(
  parts: ResidentParts,
  pool: HsmPool,
  request: Args<'createBackingKey'>,
  serials?: readonly string[],
): Promise<NewResidentKey> {
  const tried = new Map<string, Error>()
  const may = (serial: string) => !tried.has(serial) && (serials === undefined || serials.includes(serial))
  for (;;) {
    const serial = await roomiest(parts.store, pool, may, tried.size === 0)
    if (serial === undefined) throw explain(pool, [...tried.values()])
    try {
      return await createIn(parts, pool, serial, request)
    } catch (error) {
      if (!(error instanceof TokenFull || error instanceof PoolUnavailable)) throw error
      tried.set(serial, error)
    }
  }
}

/**
 * Has the token destroy an object that no record names any more, and forgets it. False when the token cannot be asked now.
 * Throws what the pool throws.
 */
export async function destroyResidentKey(store: Store, pool: HsmPool, object: DoomedObject): Promise<boolean> {
  if (!pool.tokens.some(({ serial, serving }) => serving && serial === object.serial)) return false
  await pool.call('destroyResidentKey', { ekt: object.ekt }, { serials: [object.serial] })
  await store.transaction(tx => tx.deleteResidentObject(object))
  return true
}

/**
 * Has the token with the fewest objects, of those that `serials` names, take a private key that comes from outside, once: what
 * bad material is answered with is not to be asked again. `take` throws KmsError where there is no object, and answers
 * undefined where the token has no room. The row of the object is as {@link createResidentKey} says. Throws what that does.
 */
export async function importResidentKey<T>(
  parts: ResidentParts,
  pool: HsmPool,
  kid: Buffer,
  serials: readonly string[],
  take: (ckaId: Buffer, to: { readonly serials: readonly string[] }) => Promise<T | undefined>,
): Promise<T> {
  const serial = await roomiest(parts.store, pool, each => serials.includes(each), true)
  if (serial === undefined) throw explain(pool, [])
  try {
    return await writtenDownFirst(parts, pool, serial, kid, ckaId => take(ckaId, { serials: [serial] }))
  } catch (error) {
    throw error instanceof TokenFull ? explain(pool, [error]) : error
  }
}

class TokenFull extends Error {
  override readonly name = 'TokenFull'
}

async function createIn(
  parts: ResidentParts,
  pool: HsmPool,
  serial: string,
  request: Args<'createBackingKey'>,
): Promise<NewResidentKey> {
  return writtenDownFirst(parts, pool, serial, request.kid, async ckaId => {
    const made = await pool.call('createResidentKey', { ...request, ckaId }, { serials: [serial] })
    const { full, record, mid, publicKey } = made
    if (full) return undefined
    const ekt = { digest: hash('sha256', record, 'buffer'), record: Buffer.from(record), holders: [serial] }
    return { ekt, mid: Buffer.from(mid), ...(publicKey.length > 0 ? { publicKey: Buffer.from(publicKey) } : {}) }
  })
}

/** Undefined is a token that has no room: throws {@link TokenFull}. */
async function writtenDownFirst<T>(
  { store, clock }: ResidentParts,
  { region }: HsmPool,
  serial: string,
  kid: Buffer,
  make: (ckaId: Buffer) => Promise<T | undefined>,
): Promise<T> {
  const ckaId = residentCkaId(kid, randomBytes(RANDOM_BYTES))
  const object: ResidentObject = { region, serial, ckaId, state: 'creating', createdAtMs: clock() }
  await store.transaction(tx => tx.insertResidentObject(object))
  try {
    const made = await make(ckaId)
    if (made === undefined) throw new TokenFull(`token ${serial} has no room for another key`)
    return made
  } catch (error) {
    // The host has answered: there is no object. Without an answer there may be one, and the row says where from.
    if (error instanceof TokenFull || error instanceof HsmFault || error instanceof KmsError)
      await store.transaction(tx => tx.deleteResidentObject(object))
    throw error
  }
}

/** Of the tokens that may be asked, the one with the fewest objects; one that does not serve only when none does. */
async function roomiest(
  store: Store,
  pool: HsmPool,
  may: (serial: string) => boolean,
  isFirst: boolean,
): Promise<string | undefined> {
  const counts = await store.reader.countResidentObjects(pool.region)
  const left = pool.tokens.filter(({ serial }) => may(serial))
  const rank = (token: (typeof left)[number]) => [token.serving ? 0 : 1, counts.get(token.serial) ?? 0] as const
  const [best] = left.toSorted((a, b) => {
    const [first, second] = [rank(a), rank(b)]
    return first[0] - second[0] || first[1] - second[1]
  })
  // A token that is down is waited for once, not one after the other.
  if (best === undefined || (!best.serving && !isFirst)) return undefined
  return best.serial
}

function explain({ region }: HsmPool, reasons: readonly Error[]): Error {
  if (reasons.some(reason => reason instanceof TokenFull)) {
    return new KmsError('LimitExceededException', 'The HSMs of the region have no room for another key.', {
      detail: reasons.map(({ message }) => message).join('; '),
    })
  }
  return reasons.at(-1) ?? new PoolUnavailable(`no token of region ${region} can serve`)
}
