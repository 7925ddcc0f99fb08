/** Suite 2: the DEK by SP 800-108 counter mode in the token (NSS, Kryoptic, AWS CloudHSM). */
import { MID_BYTES, NONCE_BYTES } from '../../../formats/ciphertext.ts'
import { counterFixedInput, counterOffsets, forEachPurpose } from '../../../formats/derivation.ts'
import { KID_BYTES } from '../../../model/key-id.ts'
import type { CounterKdf } from '../mechanisms.ts'
import type { Derivation } from './in-token.ts'

/** One mechanism for each purpose, over a fixed input whose nonce, kid and mid each message replaces. */
export function counterDerivation(kdf: CounterKdf): Derivation {
  const derivations = forEachPurpose(purpose => {
    const input = counterFixedInput(
      purpose,
      Buffer.alloc(NONCE_BYTES),
      Buffer.alloc(KID_BYTES),
      Buffer.alloc(MID_BYTES),
    )
    return { input, offsets: counterOffsets(purpose), mechanism: kdf(input) }
  })
  return ({ kid, mid }, purpose, nonce) => {
    const { input, offsets, mechanism } = derivations[purpose]
    input.set(nonce, offsets.nonce)
    input.set(kid, offsets.kid)
    input.set(mid, offsets.mid)
    return mechanism
  }
}
