/** Who can call: accounts and the identities in them, with their policies and access keys. */
import type { PolicySource, PrincipalIds } from './caller.ts'

export interface Account {
  /** 12 digits. */
  readonly id: string
  /** For people; may be empty. */
  readonly name: string
  readonly createdAtMs: number
}

/** `group` is no principal: it lends its policies to its users. `root` is the account itself, one for each. */
const IDENTITY_KINDS = ['root', 'user', 'role', 'group', 'service'] as const
export type IdentityKind = (typeof IDENTITY_KINDS)[number]

export interface Identity {
  /** Immutable and never used again, a prefix that tells the kind and 17 characters; of the root its account's id. */
  readonly principalId: string
  readonly account: string
  readonly kind: IdentityKind
  /** Begins and ends with `/`. */
  readonly path: string
  /** Unique among those of its kind in the account; of a service among all accounts. */
  readonly name: string
  readonly arn: string
  readonly createdAtMs: number
  /** Grows by one with every change. */
  readonly generation: number
  readonly tags: ReadonlyMap<string, string>
  /** Inline identity policies: name -> JSON text. */
  readonly inlinePolicies: ReadonlyMap<string, string>
  /** Names of managed policies of the account, in ascending order. */
  readonly attachedPolicies: readonly string[]
  /** Name of the managed policy that is its permissions boundary. */
  readonly boundary: string | undefined
  /** Of a user: names of its groups, in ascending order. */
  readonly groups: readonly string[]
  /** Of a role, and of no other kind. */
  readonly role: RoleTerms | undefined
  /** Of a service: accounts, in ascending order, on behalf of whose users and sessions it may call. */
  readonly actsFor: readonly string[]
}

/** On what terms a role is assumed. */
export interface RoleTerms {
  /** JSON text: who may assume it. */
  readonly trustPolicy: string
  /** Whom the trust policy means by the ARNs that it names. */
  readonly trustPrincipals: PrincipalIds
  readonly sessionSecondsMax: number
  /** Sessions issued before this moment are no longer valid; 0 when none was ever revoked. */
  readonly revokedBeforeMs: number
}

/** An identity with every document that speaks for or against it, read at one moment. */
export interface Principal {
  readonly identity: Identity
  /** Its inline and managed policies, and those of its groups. */
  readonly policies: readonly PolicySource[]
  readonly boundary: PolicySource | undefined
}

export interface ManagedPolicy {
  /** `ANPA` and 17 characters. */
  readonly id: string
  readonly account: string
  readonly path: string
  /** Unique in the account, whatever the path. */
  readonly name: string
  readonly arn: string
  readonly description: string
  readonly createdAtMs: number
  readonly generation: number
  /** By number, in ascending order. */
  readonly versions: ReadonlyMap<number, PolicyVersion>
  /** The version that is in force. */
  readonly defaultVersion: number
}

export interface PolicyVersion {
  /** JSON text. */
  readonly document: string
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

/** The last request that was signed with an access key; written down some time after it. */
export interface AccessKeyUse {
  readonly accessKeyId: string
  readonly atMs: number
  readonly region: string
  readonly service: string
}

/** AWS's own bound, so that one key can be rotated without an interruption. */
export const ACCESS_KEYS_PER_IDENTITY = 2

export const FULL_ACCESS_POLICY_NAME = 'FullAccess'
export const FULL_ACCESS_POLICY = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Action: ['kms:*', 'cloudtrail:LookupEvents'], Resource: '*' }],
})
