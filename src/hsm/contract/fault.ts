/** What can go wrong in the crypto world, told in five kinds that the pool acts upon. */

export const FAULT_KINDS = ['input', 'key', 'session', 'token', 'module'] as const

/**
 * - `input`: the caller's data is wrong (a tampered ciphertext). Answered; never counts against a token.
 * - `key`: the EKT or its HBK does not serve: a MAC that fails, another domain, another usage. Answered.
 * - `session`: this session is broken, and so it was after the host had repaired what it could.
 * - `token`: the token does not serve: go to another, look at this one.
 * - `module`: the library or its process is broken: restart the host.
 */
export type FaultKind = (typeof FAULT_KINDS)[number]

/**
 * The reason of a `token` fault that a newer description of the domain may cure: a domain key object that the host needs
 * is gone, or an EKT names a version of this domain's keys that the host was not told of.
 */
export const STALE_DOMAIN = 'the domain has changed'

/** A command's failure. `reason` names the check or the CKR code; it never holds bytes. */
export class HsmFault extends Error {
  override readonly name = 'HsmFault'
  readonly kind: FaultKind
  readonly reason: string

  constructor(kind: FaultKind, reason: string, options?: { cause?: unknown }) {
    super(`${kind}: ${reason}`, options)
    this.kind = kind
    this.reason = reason
  }
}
