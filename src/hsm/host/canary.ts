/**
 * A known answer of each domain: an EKT and a ciphertext of this host's own making, opened again and again. It takes the road
 * of a Decrypt, MAC and unwrapping included, so it proves that the token holds the domains' keys and can work with them. A
 * token that cannot wrap keeps an HBK for it as a session object.
 */
import { CONTEXT_HASH_BYTES } from '../../formats/aad.ts'
import { IV_BYTES, NONCE_BYTES } from '../../formats/ciphertext.ts'
import { kidOf } from '../../model/key-id.ts'
import { HsmFault } from '../contract/fault.ts'
import type { BackingKeys } from './backing-keys.ts'
import type { Hbk, HbkRequest } from './hbk.ts'
import type { HbkMaker } from './hbk-maker.ts'
import type { Sealing } from './sealing.ts'

const CONTEXT_HASH = Buffer.alloc(CONTEXT_HASH_BYTES)
const PLAINTEXT = Buffer.from('strongroom/canary/1', 'latin1')
const REGION_KEY = '00000000-0000-0000-0000-000000000000'
const MULTI_REGION_KEY = 'mrk-00000000000000000000000000000000'

type WithHbk = <T>(use: (hbk: Hbk) => T) => T

interface KnownAnswer {
  readonly withHbk: WithHbk
  readonly blob: Buffer
}

export class Canary {
  readonly #sealing: Sealing
  readonly #answers: readonly KnownAnswer[]

  /** Makes the HBKs and the ciphertexts, those of the multi-Region domain where the host has one. Throws HsmFault. */
  constructor(
    parts: { hbkMaker: HbkMaker; backingKeys: BackingKeys; sealing: Sealing },
    { multiRegion }: { readonly multiRegion: boolean },
  ) {
    const { hbkMaker, backingKeys, sealing } = parts
    this.#sealing = sealing
    this.#answers = [REGION_KEY, ...(multiRegion ? [MULTI_REGION_KEY] : [])].map(keyId => {
      const withHbk = ownHbk(hbkMaker, backingKeys, requestOf(keyId))
      const seal = (hbk: Hbk) => sealing.seal(hbk, PLAINTEXT, CONTEXT_HASH, sealing.random(NONCE_BYTES + IV_BYTES))
      return { withHbk, blob: withHbk(seal) }
    })
  }

  /** Throws HsmFault: `module` when a known answer is another one, otherwise what the token said. */
  prove(): void {
    for (const { withHbk, blob } of this.#answers) {
      const plaintext = withHbk(hbk => this.#open(hbk, blob))
      if (!plaintext.equals(PLAINTEXT)) throw new HsmFault('module', 'the known answer is another one')
    }
  }

  /** Neither the record nor the ciphertext came from a caller, so whatever is wrong is not the caller's fault. */
  #open(hbk: Hbk, blob: Buffer): Buffer {
    try {
      return this.#sealing.open(hbk, blob, CONTEXT_HASH)
    } catch (error) {
      if (error instanceof HsmFault && error.kind === 'input')
        throw new HsmFault('token', 'it refuses a ciphertext of its own', { cause: error })
      throw error
    }
  }
}

function requestOf(keyId: string): HbkRequest {
  return {
    account: '000000000000',
    kid: kidOf(keyId),
    keySpec: 'SYMMETRIC_DEFAULT',
    keyUsage: 'ENCRYPT_DECRYPT',
  }
}

function ownHbk(hbkMaker: HbkMaker, backingKeys: BackingKeys, request: HbkRequest): WithHbk {
  if (!hbkMaker.wraps) {
    const hbk = hbkMaker.createUnrecorded(request)
    return use => use(hbk)
  }
  const { record } = hbkMaker.create(request)
  return use => backingKeys.useOnce(record, use)
}
