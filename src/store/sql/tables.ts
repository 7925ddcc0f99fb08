/** The rows as the database holds them: names in snake case, flags as 0 or 1, moments as integers of milliseconds. */
import type { ColumnType, Kysely } from 'kysely'
import type { IdentityKind } from '../../model/identity.ts'
import type { WrappingAlgorithm, WrappingKeySpec } from '../../model/imports.ts'
import type { KeyMaterial, KeyOrigin, KeyState } from '../../model/key.ts'
import type { KeySpec, KeyUsage } from '../../model/key-specs.ts'
import type { Domain, DomainKeyVersion, EnrolledToken, ResidentObject } from '../store.ts'

/** SQLite hands bytes out as Uint8Array; PostgreSQL's driver as Buffer, which is one. */
type Bytes = ColumnType<Uint8Array, Buffer, Buffer>
type Flag = 0 | 1

export interface Tables {
  accounts: { id: string; created_at_ms: number }
  identities: {
    principal_id: string
    account: string
    kind: IdentityKind
    path: string
    name: string
    created_at_ms: number
  }
  identity_policies: { principal_id: string; name: string; document: string }
  access_keys: { id: string; principal_id: string; active: Flag; sealed_secret: Bytes; created_at_ms: number }

  domains: {
    region: string
    id: string
    state: Domain['state']
    sealed: Flag
    created_at_ms: number
    wrap_scheme: Domain['schemes']['wrapScheme']
    kdf: Domain['schemes']['kdf']
  }
  domain_key_versions: {
    region: string
    kind: DomainKeyVersion['kind']
    version: number
    fork_id: string
    check_value: string
  }
  domain_tokens: {
    region: string
    serial: string
    label: string
    state: EnrolledToken['state']
    audit_public_key: Bytes
    enrolled_at_ms: number
    sealed: Flag
  }
  daemon_keys: { purpose: string; region: string; kid: Bytes; ekt: Bytes }

  keys: {
    region: string
    account: string
    id: string
    spec: KeySpec
    usage: KeyUsage
    origin: KeyOrigin
    state: KeyState
    description: string
    policy: string
    created_at_ms: number
    deletion_at_ms: number | null
    rotation_period_days: number | null
    rotation_next_at_ms: number | null
    generation: number
  }
  materials: {
    region: string
    account: string
    key_id: string
    id: string
    state: KeyMaterial['state']
    created_at_ms: number
    rotation_type: KeyMaterial['rotationType'] | null
    rotated_at_ms: number | null
    /** No bytes while imported material is away. */
    ekt: Bytes
    public_key: ColumnType<Uint8Array | null, Buffer | null, Buffer | null>
    expires_at_ms: number | null
    description: string | null
    commitment: ColumnType<Uint8Array | null, Buffer | null, Buffer | null>
  }
  import_keys: {
    region: string
    account: string
    key_id: string
    import_id: Bytes
    algorithm: WrappingAlgorithm
    spec: WrappingKeySpec
    ekt: Bytes
    not_after_ms: number
    attempts: number
  }
  aliases: {
    region: string
    account: string
    name: string
    key_id: string
    created_at_ms: number
    updated_at_ms: number
  }
  tags: { region: string; account: string; key_id: string; tag_key: string; tag_value: string }

  resident_objects: {
    region: string
    serial: string
    cka_id: Bytes
    state: ResidentObject['state']
    created_at_ms: number
    /** The record of an object that is to be destroyed. */
    ekt: ColumnType<Uint8Array | null, Buffer | null, Buffer>
  }

  tombstones: { table_name: string; primary_key: string; deleted_at_ms: number }
}

/** The handle that every query is run on: a transaction, or the connection that only reads. */
export type Handle = Kysely<Tables>
