/** The rows as the database holds them: names in snake case, flags as 0 or 1, moments as integers of milliseconds. */
import type { ColumnType, Kysely } from 'kysely'
import type { ApprovalRequest } from '../../model/dual-control.ts'
import type { IdentityKind } from '../../model/identity.ts'
import type { WrappingAlgorithm, WrappingKeySpec } from '../../model/imports.ts'
import type { KeyMaterial, KeyOrigin, KeyState } from '../../model/key.ts'
import type { KeySpec, KeyUsage } from '../../model/key-specs.ts'
import type { UsingOperation } from '../../model/key-use.ts'
import type { CeremonyRecord, Domain, DomainKeyVersion, EnrolledToken, Rotation } from '../domain.ts'
import type { ResidentObject } from '../records.ts'

/** SQLite hands bytes out as Uint8Array; PostgreSQL's driver as Buffer, which is one. */
type Bytes = ColumnType<Uint8Array, Buffer, Buffer>
type NullableBytes = ColumnType<Uint8Array | null, Buffer | null, Buffer | null>
type Flag = 0 | 1

export interface Tables {
  accounts: { id: string; name: string; created_at_ms: number }
  identities: {
    principal_id: string
    account: string
    kind: IdentityKind
    path: string
    name: string
    created_at_ms: number
    generation: number
    boundary_id: string | null
    trust_policy: string | null
    trust_principals: string | null
    session_seconds_max: number | null
    revoked_before_ms: number | null
    /** Of a service: a JSON array of account ids. */
    acts_for: string | null
  }
  identity_policies: { principal_id: string; name: string; document: string }
  attached_policies: { principal_id: string; policy_id: string }
  group_members: { principal_id: string; group_id: string }
  identity_tags: { principal_id: string; tag_key: string; tag_value: string }
  managed_policies: {
    id: string
    account: string
    path: string
    name: string
    description: string
    default_version: number
    created_at_ms: number
    generation: number
  }
  managed_policy_versions: { policy_id: string; version: number; document: string; created_at_ms: number }
  access_keys: { id: string; principal_id: string; active: Flag; sealed_secret: Bytes; created_at_ms: number }
  key_uses: {
    region: string
    account: string
    key_id: string
    operation: UsingOperation
    at_ms: number
    request_id: string
    event_id: string | null
  }
  key_use_tracking: { started_at_ms: number }
  access_key_uses: { access_key_id: string; at_ms: number; region: string; service: string }

  domains: {
    region: string
    id: string
    state: Domain['state']
    sealed: Flag
    created_at_ms: number
    generation: number
    rotation_to: number | null
    rotation_step: Rotation['step'] | null
    rotation_started_at_ms: number | null
    wrap_scheme: Domain['schemes']['wrapScheme']
    kdf: Domain['schemes']['kdf']
  }
  domain_key_versions: {
    region: string
    kind: DomainKeyVersion['kind']
    version: number
    fork_id: string
    check_value: string
    state: DomainKeyVersion['state']
    swept_at_ms: number | null
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
  domain_token_versions: { region: string; serial: string; version: number }
  daemon_keys: { purpose: string; region: string; kid: Bytes; ekt: Bytes; dk_version: number; data_key: NullableBytes }
  ceremonies: {
    id: string
    region: string
    command: string
    operator: string
    uid: number
    /** A JSON array of names. */
    officers: string
    at_ms: number
    what: string
    outcome: CeremonyRecord['outcome']
  }

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
    /** JSON: pairs of ARN and principal id. */
    policy_principals: string
    created_at_ms: number
    deletion_at_ms: number | null
    rotation_period_days: number | null
    rotation_next_at_ms: number | null
    primary_region: string | null
    deletion_window_days: number | null
    managed_by: string | null
    generation: number
  }
  key_counts: { region: string; account: string; key_count: number }
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
    dk_version: number
    public_key: ColumnType<Uint8Array | null, Buffer | null, Buffer | null>
    expires_at_ms: number | null
    description: string | null
    commitment: ColumnType<Uint8Array | null, Buffer | null, Buffer | null>
    /** The domain that wraps it, where it is not its region's. */
    domain: string | null
  }
  import_keys: {
    region: string
    account: string
    key_id: string
    import_id: Bytes
    algorithm: WrappingAlgorithm
    spec: WrappingKeySpec
    ekt: Bytes
    dk_version: number
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

  officers: { name: string; public_key: string; fingerprint: string; added_at_ms: number }
  dual_control: { id: string; threshold: number; generation: number }
  approval_requests: {
    id: string
    text: string
    state: ApprovalRequest['state']
    created_at_ms: number
    generation: number
  }
  approvals: {
    request_id: string
    officer: string
    fingerprint: string
    signature: string
    approved_at_ms: number
    /** Whether it was one of those that the ceremony started upon. */
    counted: Flag
  }
  resident_objects: {
    region: string
    serial: string
    cka_id: Bytes
    state: ResidentObject['state']
    created_at_ms: number
    /** The record of an object that is to be destroyed. */
    ekt: ColumnType<Uint8Array | null, Buffer | null, Buffer>
  }
  grants: {
    id: string
    region: string
    account: string
    key_id: string
    name: string
    grantee: string
    retiring: string | null
    /** JSON. */
    operations: string
    /** JSON. */
    constraints: string
    /** JSON: pairs of ARN and principal id. */
    principal_ids: string
    issuing_account: string
    /** Hex. */
    token_seed: string
    created_at_ms: number
  }

  row_macs: {
    table_name: string
    primary_key: string
    generation: number
    region: string
    mac_version: number
    mac: Bytes
  }
  ledger_heads: { region: string; epoch: number; branches: Bytes; mac_version: number; mac: Bytes }
  ledger_branches: { region: string; branch: number; buckets: Bytes }
  ledger_buckets: { region: string; bucket: number; leaves: Bytes }
  audit_blocks: {
    chain: string
    number: number
    first_seq: number
    last_seq: number
    first_at_ms: number
    last_at_ms: number
    lines_bytes: number
    lines: Bytes
    encoding: ColumnType<string, string | undefined>
  }
  audit_pending_events: { id: string; at_ms: number; event: string; chain: string | null }
  audit_positions: { name: string; file: string; byte_offset: number }
  tombstones: {
    table_name: string
    primary_key: string
    deleted_at_ms: number
    domain: string | null
    dk_version: number | null
    erased_at_ms: number | null
  }
  change_count: { id: number; changes: number }
}

/** The handle that every query is run on: a transaction, or the connection that only reads. */
export type Handle = Kysely<Tables>
