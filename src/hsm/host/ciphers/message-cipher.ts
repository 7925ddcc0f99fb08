/**
 * One way to seal a message under an HBK: how the DEK is derived, and where AES-256-GCM runs. The suite in a ciphertext's
 * header says only what was computed, so two tokens may come to the same bytes by different ways.
 */
import type { Purpose } from '../../../formats/derivation.ts'
import { HsmFault } from '../../contract/fault.ts'
import type { ObjectHandle } from '../cryptoki.ts'

/** An HBK in the token, with the fields of its verified EKT that a derivation is bound to. */
export interface BaseKey {
  readonly handle: ObjectHandle
  readonly kid: Buffer
  readonly mid: Buffer
}

export interface MessageCipher {
  /** The one right that an HBK has in this token, so that the cipher can derive from it. */
  readonly hbkRight: 'DERIVE' | 'SIGN'
  /**
   * AES-256-GCM under a fresh DEK of `purpose`, into `sealed`, which holds ciphertext and tag. Where the token makes the
   * IV itself, it is written over what `iv` held. Throws HsmFault.
   */
  seal(hbk: BaseKey, purpose: Purpose, nonce: Buffer, iv: Buffer, aad: Buffer, plaintext: Buffer, sealed: Buffer): void
  /** The plaintext, which the caller wipes. Throws HsmFault `input`, the same for every reason. */
  open(hbk: BaseKey, purpose: Purpose, nonce: Buffer, iv: Buffer, aad: Buffer, sealed: Buffer): Buffer
}

/**
 * Every reason a ciphertext may be refused for looks the same from outside (security.md 2.2). `cause` is the token's own
 * refusal, by which a host sees whether it may be trouble of the token in truth.
 */
export function invalidCiphertext(cause?: HsmFault): HsmFault {
  return new HsmFault('input', 'InvalidCiphertext', { cause })
}
