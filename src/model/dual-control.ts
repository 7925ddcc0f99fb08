/** Dual control: the officers who approve ceremonies, how many of them it takes, and what they have approved. */

export interface Officer {
  readonly name: string
  /** In OpenSSH's form: algorithm and base64. */
  readonly publicKey: string
  /** `SHA256:` and base64; no two officers share one. */
  readonly fingerprint: string
  readonly addedAtMs: number
}

export interface DualControl {
  /** One more with every change of officers or threshold; 0 where there never was one. */
  readonly generation: number
  /** How many officers must approve a ceremony. Dual control is off when it is 0. */
  readonly threshold: number
  /** By name. */
  readonly officers: readonly Officer[]
}

export interface Approval {
  /** As the officer was called when the approval was given. */
  readonly officer: string
  readonly fingerprint: string
  /** SSHSIG in its armour, over the text of the request. */
  readonly signature: string
  readonly approvedAtMs: number
  /** Whether it was one of those that the ceremony started upon. */
  readonly counted: boolean
}

/**
 * A ceremony that waits for approval, runs or has run. Only the text is signed: it says what is approved, and until when
 * it may begin.
 */
export interface ApprovalRequest {
  /** 32 hex digits. */
  readonly id: string
  readonly text: string
  /** `started` from before its first step until its last one is done: an interrupted ceremony goes on under its request. */
  readonly state: 'open' | 'started' | 'done' | 'cancelled'
  readonly createdAtMs: number
  /** One more with every change. */
  readonly generation: number
  /** The oldest first. */
  readonly approvals: readonly Approval[]
}
