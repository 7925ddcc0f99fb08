/** A domain as its ceremonies have left it: its keys by version, its tokens, and the rotation that may be under way. */
import type { Schemes } from '../hsm/contract/token-profile.ts'

/** A token of a domain, as the ceremonies enrolled it. One that has left stays listed: `retired`. */
export interface EnrolledToken {
  readonly serial: string
  readonly label: string
  readonly state: 'enrolling' | 'enrolled' | 'retired'
  /** SubjectPublicKeyInfo, DER, of the token's audit key; empty while enrolling. */
  readonly auditPublicKey: Buffer
  readonly enrolledAtMs: number
  /** The versions whose keys it is known to hold, in ascending order. An unreachable token keeps what it held. */
  readonly versions: readonly number[]
  /** Whether this token enforces the attributes of security.md 3. */
  readonly sealed: boolean
}

/** One version of a domain key or domain MAC key: 16 random bytes tell two keys of one number apart; 64-bit check value. */
export interface DomainKeyVersion {
  readonly kind: 'dk' | 'mac'
  readonly version: number
  readonly forkId: string
  readonly checkValue: string
  /**
   * - `making`: a rotation is bringing it to the tokens; no host is told of it.
   * - `active`: hosts read what is under it; the newest active version is the one that they write under.
   * - `withdrawn`: no host is told of it any more; tokens destroy it as they are reached.
   */
  readonly state: 'making' | 'active' | 'withdrawn'
  /** When the last EKT record had left it: from then on it only opens backups. Undefined before. */
  readonly sweptAtMs: number | undefined
}

/** A rotation under way, by the step that comes next (security.md 4.1). */
export interface Rotation {
  /** The version of domain key and MAC key that is being made, or swept to. */
  readonly to: number
  /**
   * - `making`: generate `to` and bring it to every enrolled token (steps 1 and 2).
   * - `barrier`: hosts write under `to`; destroy what makes anything under the version before, in every token (step 3).
   * - `sweeping`: re-wrap every EKT record (steps 4 and 5).
   */
  readonly step: 'making' | 'barrier' | 'sweeping'
  readonly startedAtMs: number
}

export interface Domain {
  /** 32 hex digits. */
  readonly id: string
  /** Whose it is; MULTI_REGION_DOMAIN of the one that regions share. */
  readonly region: string
  /** `creating` until the first token holds all of its keys. */
  readonly state: 'creating' | 'ready'
  /** Whether all of its tokens enforce the attributes of security.md 3. */
  readonly sealed: boolean
  /** What new EKTs are made by; every token of the domain has them. */
  readonly schemes: Schemes
  readonly createdAtMs: number
  /** Grows by one with every change: of two ceremonies that change a domain at once, one is refused. */
  readonly generation: number
  readonly rotation: Rotation | undefined
  readonly versions: readonly DomainKeyVersion[]
  readonly tokens: readonly EnrolledToken[]
}

/** One step of a ceremony that changed something, or that failed: what `domain history` prints. */
export interface CeremonyRecord {
  readonly id: string
  readonly region: string
  /** As it was typed, without its options: `domain rotate`. */
  readonly command: string
  /** The user of the operating system that ran it. */
  readonly operator: { readonly name: string; readonly uid: number }
  /** The officers who approved it, by name. */
  readonly officers: readonly string[]
  readonly atMs: number
  /** For people; holds no secret. */
  readonly what: string
  readonly outcome: 'done' | 'failed'
}
