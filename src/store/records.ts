/** Records of the key store that are no nouns of the KMS API. */
import type { Grant } from '../model/grant.ts'
import type { WrappingAlgorithm, WrappingKeySpec } from '../model/imports.ts'
import type { Ekt } from '../model/key.ts'

/** Names a key or alias space: every record belongs to one account in one region. */
export interface Scope {
  readonly region: string
  readonly account: string
}

export interface Page {
  /** The last item of the page before: exclusive. Undefined for the first page. */
  readonly after: string | undefined
  readonly limit: number
}

/** An EKT record where it is stored: `name` is for people. */
export interface StoredEkt {
  readonly table: string
  readonly primaryKey: readonly (string | Buffer)[]
  readonly name: string
  readonly record: Buffer
}

/** A grant with the key that it lends. */
export interface KeyGrant extends Scope {
  readonly keyId: string
  readonly grant: Grant
}

/** An HBK as an object of a token (formats/resident-key.ts). */
export interface ResidentObject {
  readonly region: string
  /** Of the token. */
  readonly serial: string
  readonly ckaId: Buffer
  /**
   * - `creating`: about to be made, or made and not recorded because a crash came between; never in use.
   * - `ready`: a stored EKT record names it.
   * - `destroying`: its record is gone, and the token has not confirmed that it destroyed the object.
   */
  readonly state: 'creating' | 'ready' | 'destroying'
  readonly createdAtMs: number
}

/** An object that is to be destroyed, with the record that proves which one is meant. */
export interface DoomedObject extends ResidentObject {
  readonly ekt: Ekt
}

/** The wrapping key of an import, which GetParametersForImport made for one KMS key. */
export interface ImportKey extends Scope {
  readonly keyId: string
  readonly importId: Buffer
  readonly algorithm: WrappingAlgorithm
  readonly spec: WrappingKeySpec
  readonly ekt: Ekt
  readonly notAfterMs: number
  /** Imports that failed, and those that are under way: each is counted before the token is asked. */
  readonly attempts: number
}

/** An HBK of the daemon's own. */
export interface DaemonKey {
  readonly purpose: string
  readonly region: string
  readonly kid: Buffer
  readonly ekt: Ekt
  /** A data key for the service's own memory, encrypted under this HBK, where the purpose wants one. */
  readonly dataKey?: Buffer
}
