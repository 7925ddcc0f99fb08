/**
 * A known answer: an EKT and a ciphertext of this host's own making, opened again and again. It takes the road of a
 * Decrypt, MAC and unwrapping included, so it proves that the token holds the domain's keys and can work with them. A token
 * that cannot wrap keeps an HBK for it as a session object.
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

type WithHbk = <T>(use: (hbk: Hbk) => T) => T

export class Canary {
  readonly #sealing: Sealing
  readonly #withHbk: WithHbk
  readonly #blob: Buffer

  /** Makes the HBK and the ciphertext. Throws HsmFault. */
  constructor(backingKeys: BackingKeys, sealing: Sealing) {
    this.#sealing = sealing
    this.#withHbk = ownHbk(backingKeys)
    const seal = (hbk: Hbk) => sealing.seal(hbk, PLAINTEXT, CONTEXT_HASH, sealing.random(NONCE_BYTES + IV_BYTES))
    this.#blob = this.#withHbk(seal)
  }

  /** Throws HsmFault `token` unless the token gives the known answer. */
  prove(): void {
    const plaintext = this.#withHbk(hbk => this.#open(hbk))
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

function ownHbk(backingKeys: BackingKeys): WithHbk {
  if (!backingKeys.wraps) {
    const hbk = backingKeys.createUnrecorded(REQUEST)
    return use => use(hbk)
  }
  const { record } = backingKeys.create(REQUEST)
  return use => backingKeys.useOnce(record, use)
}
