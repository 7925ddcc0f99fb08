/**
 * A known answer: an EKT and a ciphertext of this host's own making, opened again and again. It takes the road of a
 * Decrypt, MAC and unwrapping included, so it proves that the token holds the domain's keys and can work with them.
 */
import { CONTEXT_HASH_BYTES } from '../../formats/aad.ts'
import { IV_BYTES, NONCE_BYTES } from '../../formats/ciphertext.ts'
import { KID_BYTES } from '../../model/key-id.ts'
import { HsmFault } from '../contract/fault.ts'
import type { BackingKeys, Hbk } from './backing-keys.ts'
import type { Sealing } from './sealing.ts'

const CONTEXT_HASH = Buffer.alloc(CONTEXT_HASH_BYTES)
const PLAINTEXT = Buffer.from('strongroom/canary/1', 'latin1')
const REQUEST = {
  account: '000000000000',
  kid: Buffer.alloc(KID_BYTES),
  keySpec: 'SYMMETRIC_DEFAULT',
  keyUsage: 'ENCRYPT_DECRYPT',
}

export class Canary {
  readonly #backingKeys: BackingKeys
  readonly #sealing: Sealing
  readonly #record: Buffer
  readonly #blob: Buffer

  /** Makes the EKT and the ciphertext. Throws HsmFault. */
  constructor(backingKeys: BackingKeys, sealing: Sealing) {
    this.#backingKeys = backingKeys
    this.#sealing = sealing
    this.#record = backingKeys.create(REQUEST).record
    const seal = (hbk: Hbk) => sealing.seal(hbk, PLAINTEXT, CONTEXT_HASH, sealing.random(NONCE_BYTES + IV_BYTES))
    this.#blob = backingKeys.useOnce(this.#record, seal)
  }

  /** Throws HsmFault `token` unless the token gives the known answer. */
  prove(): void {
    const plaintext = this.#backingKeys.useOnce(this.#record, hbk => this.#open(hbk))
    if (!plaintext.equals(PLAINTEXT)) throw new HsmFault('token', 'the known answer is another one')
  }

  /** Neither the record nor the ciphertext came from a caller, so whatever is wrong is the token's fault. */
  #open(hbk: Hbk): Buffer {
    try {
      return this.#sealing.open(hbk, this.#blob, CONTEXT_HASH)
    } catch (error) {
      if (error instanceof HsmFault && error.kind === 'input')
        throw new HsmFault('token', 'it refuses a ciphertext of its own', { cause: error })
      throw error
    }
  }
}
