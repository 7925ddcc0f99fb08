/** Who can call: accounts and the identities in them, with their access keys. */

export const IDENTITY_KINDS = ['user'] as const
export type IdentityKind = (typeof IDENTITY_KINDS)[number]

export interface Identity {
  /** Immutable and never used again: `AIDA` and 17 characters. Names may be. */
  readonly principalId: string
  readonly account: string
  readonly kind: IdentityKind
  /** Begins and ends with `/`. */
  readonly path: string
  readonly name: string
  readonly arn: string
  /** Inline identity policies: name -> JSON text. */
  readonly policies: ReadonlyMap<string, string>
  readonly createdAtMs: number
}

export interface AccessKey {
  /** `AKIA` and 16 characters. */
  readonly id: string
  readonly principalId: string
  readonly active: boolean
  /** The secret, sealed under the daemon's own HBK: formats/sealed-secret.ts. */
  readonly sealedSecret: Buffer
  readonly createdAtMs: number
}

/** AWS's own bound, so that one key can be rotated without an interruption. */
export const ACCESS_KEYS_PER_IDENTITY = 2

export const FULL_ACCESS_POLICY_NAME = 'FullAccess'
export const FULL_ACCESS_POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: 'kms:*', Resource: '*' }],
})
