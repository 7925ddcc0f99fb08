/** A KMS key: a record that names key material, with its states. It encrypts nothing itself. */
import { keyArn } from './arn.ts'
import type { PrincipalIds } from './caller.ts'
import { KmsError } from './errors.ts'
import type { Grant } from './grant.ts'
import type { KeySpec, KeyUsage } from './key-specs.ts'

export const KEY_STATES = ['Enabled', 'Disabled', 'PendingDeletion'] as const
export type KeyState = (typeof KEY_STATES)[number]

export const KEY_ORIGINS = ['AWS_KMS', 'EXTERNAL', 'AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE'] as const
export type KeyOrigin = (typeof KEY_ORIGINS)[number]

/** One version of a key's material: its HBK, as the EKT record that the store holds. */
export interface KeyMaterial {
  /** 64 hex digits: the mid of every ciphertext made with it. */
  readonly id: string
  readonly state: 'CURRENT' | 'NON_CURRENT'
  readonly createdAtMs: number
  /** The record, and the SHA-256 by which a host knows it. */
  readonly ekt: { readonly digest: Buffer; readonly record: Buffer }
}

/** Values, never changed in place: a change is a new object, written through the store. */
export interface KmsKey {
  readonly region: string
  readonly account: string
  readonly id: string
  readonly arn: string
  /** The 17-byte form of the id, as in every ciphertext of this key. */
  readonly kid: Buffer
  readonly spec: KeySpec
  readonly usage: KeyUsage
  readonly origin: KeyOrigin
  readonly state: KeyState
  readonly description: string
  /** The key policy, as it was given. */
  readonly policy: string
  /** Of the principals that the policy names. */
  readonly policyPrincipals: PrincipalIds
  readonly createdAtMs: number
  /** When a key that is pending deletion is deleted; undefined in every other state. */
  readonly deletionAtMs: number | undefined
  /** Grows by one with every change. */
  readonly generation: number
  /** By id; one of them is CURRENT. */
  readonly materials: ReadonlyMap<string, KeyMaterial>
  readonly current: KeyMaterial
  /** What decisions ask of a key besides its policy: read with it, changed through the store's own writes. */
  readonly tags: readonly Tag[]
  /** Names, in ascending order. */
  readonly aliases: readonly string[]
  readonly grants: readonly Grant[]
}

export interface Alias {
  readonly region: string
  readonly account: string
  /** Begins with `alias/`. */
  readonly name: string
  readonly keyId: string
  readonly createdAtMs: number
  readonly updatedAtMs: number
}

export interface Tag {
  readonly key: string
  readonly value: string
}

export const DELETION_WINDOW_DAYS = { min: 7, max: 30, default: 30 } as const

/**
 * Refuses a key whose state is not among `allowed`. Throws KmsError: DisabledException or KMSInvalidStateException, in
 * AWS's words.
 */
export function requireState(key: KmsKey, allowed: readonly KeyState[]): void {
  if (allowed.includes(key.state)) return
  if (key.state === 'Disabled') throw new KmsError('DisabledException', `${key.arn} is disabled.`)
  if (key.state === 'PendingDeletion') throw new KmsError('KMSInvalidStateException', `${key.arn} is pending deletion.`)
  throw new KmsError('KMSInvalidStateException', `${key.arn} is not pending deletion.`)
}

/** The key policy of a key that was made without one: the account's identity policies decide. */
export function defaultKeyPolicy(account: string): string {
  return JSON.stringify({
    Version: '2012-10-17',
    Id: 'key-default-1',
    Statement: [
      {
        Sid: 'Enable IAM User Permissions',
        Effect: 'Allow',
        Principal: { AWS: `arn:aws:iam::${account}:root` },
        Action: 'kms:*',
        Resource: '*',
      },
    ],
  })
}

export function arnOf({ region, account, id }: Pick<KmsKey, 'region' | 'account' | 'id'>): string {
  return keyArn(region, account, id)
}
