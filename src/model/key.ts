/** A KMS key: a record that names key material, with its states. It encrypts nothing itself. */
import { keyArn } from './arn.ts'
import type { PrincipalIds } from './caller.ts'
import { KmsError } from './errors.ts'
import type { Grant } from './grant.ts'
import type { KeySpec, KeyUsage } from './key-specs.ts'

export const KEY_STATES = ['Enabled', 'Disabled', 'PendingDeletion', 'PendingReplicaDeletion', 'PendingImport'] as const
export type KeyState = (typeof KEY_STATES)[number]

/** Every state of a key that is not on its way out: its name, tags and description can be changed. */
export const LIVE_STATES = ['Enabled', 'Disabled', 'PendingImport'] as const satisfies readonly KeyState[]

/** The states of a key on its way out. */
export const DYING_STATES = ['PendingDeletion', 'PendingReplicaDeletion'] as const satisfies readonly KeyState[]

export const KEY_ORIGINS = ['AWS_KMS', 'EXTERNAL', 'AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE'] as const
export type KeyOrigin = (typeof KEY_ORIGINS)[number]

/** An EKT record, and the SHA-256 by which a host knows it. */
export interface Ekt {
  readonly digest: Buffer
  readonly record: Buffer
  /** Serials of the tokens that hold a resident HBK; absent for a wrapped one, which every token of the domain can use. */
  readonly holders?: readonly string[] | undefined
}

export type RotationType = 'AUTOMATIC' | 'ON_DEMAND'

/** When a key is given new material by itself. */
export interface RotationSchedule {
  readonly periodDays: number
  readonly nextAtMs: number
}

/** One version of a key's material: its HBK, as the EKT record that the store holds. */
export interface KeyMaterial {
  /** 64 hex digits: the mid of every ciphertext made with it. */
  readonly id: string
  /** `PENDING_ROTATION`: imported, and not in use before RotateKeyOnDemand. */
  readonly state: 'CURRENT' | 'NON_CURRENT' | 'PENDING_ROTATION'
  readonly createdAtMs: number
  /** How it came to be current; undefined for the material that a key is born with, and for one that is pending. */
  readonly rotationType?: RotationType | undefined
  /** When it came to be current; `createdAtMs` for material that was made for it. */
  readonly rotatedAtMs?: number | undefined
  /** Undefined while imported material is away: deleted or expired, to be imported again. */
  readonly ekt: Ekt | undefined
  /** SubjectPublicKeyInfo, DER, of a key pair. The store could hold another: whoever uses it has it checked against the EKT. */
  readonly publicKey?: Buffer | undefined
  /** Of imported material, when it is deleted by itself; undefined for never. */
  readonly expiresAtMs?: number | undefined
  readonly description?: string | undefined
  /** Of an imported MAC key: knows the same bytes again (formats/imported-material.ts). */
  readonly commitment?: Buffer | undefined
}

/** Material that is there to be used. */
export type PresentMaterial = KeyMaterial & { readonly ekt: Ekt }

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
  /** Undefined while the key is not rotated by itself. */
  readonly rotation?: RotationSchedule | undefined
  /** Of a multi-Region key: the region of its primary. Undefined for a key of one region. */
  readonly primaryRegion?: string | undefined
  /** Of a primary that is to be deleted after its replicas: the waiting period that begins when the last of them is gone. */
  readonly deletionWindowDays?: number | undefined
  /** Grows by one with every change. */
  readonly generation: number
  /** By id; one of them is CURRENT, unless nothing was ever imported into the key. */
  readonly materials: ReadonlyMap<string, KeyMaterial>
  /** Whose id the key shows. What works with it asks {@link currentMaterial}. */
  readonly current: KeyMaterial | undefined
  /** What decisions ask of a key besides its policy: read with it, changed through the store's own writes. */
  readonly tags: readonly Tag[]
  /** Names, in ascending order. */
  readonly aliases: readonly string[]
  readonly grants: readonly Grant[]
  /** The service whose key it is, by name (`alias/aws/<name>`); undefined for keys that customers manage. */
  readonly managedBy?: string | undefined
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
  if (key.state === 'PendingReplicaDeletion')
    throw new KmsError('KMSInvalidStateException', `${key.arn} is pending replica deletion.`)
  if (key.state === 'PendingImport') throw pendingImport(key)
  throw new KmsError('KMSInvalidStateException', `${key.arn} is not pending deletion.`)
}

/** The material that new ciphertexts, signatures and MACs are made with. Throws KmsError KMSInvalidStateException. */
export function currentMaterial(key: KmsKey): PresentMaterial {
  return presentMaterial(key, key.current)
}

/** Material of this key that is there. Throws KmsError KMSInvalidStateException for imported material that is not. */
export function presentMaterial(key: KmsKey, material: KeyMaterial | undefined): PresentMaterial {
  if (material?.ekt === undefined) throw pendingImport(key)
  return material as PresentMaterial
}

/** Whether all material that ciphertexts of the key may name is there; only then is the key usable. */
export function isComplete({ materials, current }: Pick<KmsKey, 'materials' | 'current'>): boolean {
  return current !== undefined && permanentMaterials({ materials }).every(({ ekt }) => ekt !== undefined)
}

/** Material that the key has worked with; what is pending may still be taken back. */
export function permanentMaterials({ materials }: Pick<KmsKey, 'materials'>): KeyMaterial[] {
  return [...materials.values()].filter(({ state }) => state !== 'PENDING_ROTATION')
}

function pendingImport({ arn }: KmsKey): KmsError {
  return new KmsError('KMSInvalidStateException', `${arn} is pending import.`)
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
