/**
 * Keys with their materials, tags, aliases and grants. A key is read in one statement, so that its record is of one
 * moment; the grants of one that has any follow in a second, and a change of them makes memory forget what was read.
 */
import assert from 'node:assert/strict'
import { sql } from 'kysely'
import { MULTI_REGION_DOMAIN } from '../../base/region.ts'
import { dkVersionOf } from '../../formats/ekt.ts'
import { keyArn } from '../../model/arn.ts'
import type { Ekt, KeyMaterial, KmsKey } from '../../model/key.ts'
import { isMultiRegionKeyId, kidOf } from '../../model/key-id.ts'
import { listInJson } from '../dialects/json.ts'
import type { Page, Scope } from '../records.ts'
import { buildOnce } from './build-once.ts'
import { requireWritableVersion } from './ekts.ts'
import { grantsOfKey } from './grants.ts'
import { changeKeyCount } from './key-counts.ts'
import { bufferOf, ektOf, requireDeleted, requireInserted, requireUpdated } from './outcomes.ts'
import type { Handle } from './tables.ts'

export async function findKey(db: Handle, { region, account }: Scope, keyId: string): Promise<KmsKey | undefined> {
  const rows = await selectKey(db, region, account, keyId)
  const [row] = rows
  if (row === undefined) return undefined
  const materials = rows.flatMap(materialOf)
  const { id, spec, usage, origin, state, description, policy, generation } = row
  return {
    ...{ region, account, id, spec, usage, origin, state, description, policy, generation },
    arn: keyArn(region, account, id),
    kid: kidOf(id),
    policyPrincipals: new Map(JSON.parse(row.policy_principals) as [string, string][]),
    createdAtMs: row.created_at_ms,
    deletionAtMs: row.deletion_at_ms ?? undefined,
    rotation: rotationOf(row.rotation_period_days, row.rotation_next_at_ms),
    primaryRegion: row.primary_region ?? undefined,
    deletionWindowDays: row.deletion_window_days ?? undefined,
    ...(row.managed_by === null ? {} : { managedBy: row.managed_by }),
    materials: new Map(materials.map(material => [material.id, material])),
    current: currentOf(materials, row),
    tags: (JSON.parse(row.tags) as [string, string][]).map(([key, value]) => ({ key, value })),
    aliases: (JSON.parse(row.aliases) as [string][]).map(([name]) => name).sort(),
    grants: row.granted === 1 ? await grantsOfKey(db, { region, account }, id) : [],
  }
}

export async function findKeyOwner(db: Handle, region: string, keyId: string): Promise<string | undefined> {
  const [row] = await selectOwner(db, region, keyId)
  return row?.account
}

/** In ascending order. */
export async function listRegionsOfKey(db: Handle, account: string, keyId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('keys')
    .select('region')
    .where('account', '=', account)
    .where('id', '=', keyId)
    .where('primary_region', 'is not', null)
    .orderBy('region')
    .execute()
  return rows.map(row => row.region)
}

export async function listKeyIds(db: Handle, { region, account }: Scope, page: Page): Promise<string[]> {
  const { after } = page
  const rows = await db
    .selectFrom('keys')
    .select('id')
    .where('region', '=', region)
    .where('account', '=', account)
    .$if(after !== undefined, query => query.where('id', '>', after!))
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(row => row.id)
}

export async function listKeysDueForDeletion(db: Handle, nowMs: number, limit: number): Promise<KmsKey[]> {
  const due = await db
    .selectFrom('keys')
    .select(['region', 'account', 'id'])
    .where('deletion_at_ms', '<=', nowMs)
    .orderBy('deletion_at_ms')
    .orderBy('id')
    .limit(limit)
    .execute()
  const keys: KmsKey[] = []
  for (const row of due) {
    const key = await findKey(db, row, row.id)
    // Between the two statements a key may have been deleted, or its deletion cancelled.
    if (key?.deletionAtMs !== undefined && key.deletionAtMs <= nowMs) keys.push(key)
  }
  return keys
}

export async function listKeysDueForRotation(db: Handle, nowMs: number, limit: number): Promise<KmsKey[]> {
  const due = await db
    .selectFrom('keys')
    .select(['region', 'account', 'id'])
    .where('rotation_next_at_ms', '<=', nowMs)
    .where('state', '=', 'Enabled')
    // Replicas are rotated with their primary.
    .where(eb => eb.or([eb('primary_region', 'is', null), eb('primary_region', '=', eb.ref('region'))]))
    .orderBy('rotation_next_at_ms')
    .orderBy('id')
    .limit(limit)
    .execute()
  const keys = await Promise.all(due.map(row => findKey(db, row, row.id)))
  // Between the statements a key may have been deleted, disabled or rotated.
  return keys.filter(
    key => key !== undefined && key.state === 'Enabled' && (key.rotation?.nextAtMs ?? nowMs + 1) <= nowMs,
  ) as KmsKey[]
}

export async function insertKey(db: Handle, key: KmsKey): Promise<void> {
  const materials = [...key.materials.values()]
  assert(currentOf(materials, key) === key.current, `key ${key.id} names another material than its CURRENT one`)
  const { region, account, id, spec, usage, origin, state, description, policy, generation } = key
  const inserted = await db
    .insertInto('keys')
    .values({
      ...{ region, account, id, spec, usage, origin, state, description, policy, generation },
      policy_principals: JSON.stringify([...key.policyPrincipals]),
      created_at_ms: key.createdAtMs,
      deletion_at_ms: key.deletionAtMs ?? null,
      managed_by: key.managedBy ?? null,
      ...rotationColumns(key),
      ...multiRegionColumns(key),
    })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `key ${id}`)
  await changeKeyCount(db, key, 1)
  for (const material of materials) await putMaterial(db, key, material)
}

/** The material is the current one from here on, pending before or new; those before it stay, to decrypt. */
export async function rotateKey(db: Handle, key: KmsKey, material: KeyMaterial): Promise<void> {
  await updateKey(db, key)
  await db
    .updateTable('materials')
    .set({ state: 'NON_CURRENT' })
    .where('region', '=', key.region)
    .where('account', '=', key.account)
    .where('key_id', '=', key.id)
    .where('state', '=', 'CURRENT')
    .execute()
  await putMaterial(db, key, material)
}

/** Writes a material as it is, over one of the same id. */
export async function putMaterial(db: Handle, key: KmsKey, material: KeyMaterial): Promise<void> {
  const { region, account, id } = key
  const dkVersion = material.ekt === undefined ? NO_VERSION : dkVersionOf(material.ekt.record)
  const domain = key.primaryRegion === undefined ? null : MULTI_REGION_DOMAIN
  if (material.ekt !== undefined) await requireWritableVersion(db, domain ?? region, dkVersion)
  const content = {
    state: material.state,
    created_at_ms: material.createdAtMs,
    rotation_type: material.rotationType ?? null,
    rotated_at_ms: material.rotatedAtMs ?? null,
    ekt: material.ekt?.record ?? NO_RECORD,
    dk_version: dkVersion,
    public_key: material.publicKey ?? null,
    expires_at_ms: material.expiresAtMs ?? null,
    description: material.description ?? null,
    commitment: material.commitment ?? null,
    domain,
  }
  await db
    .insertInto('materials')
    .values({ region, account, key_id: id, id: material.id, ...content })
    .onConflict(conflict => conflict.columns(['region', 'account', 'key_id', 'id']).doUpdateSet(content))
    .execute()
}

export async function deleteMaterial(db: Handle, key: KmsKey, materialId: string): Promise<void> {
  await db
    .deleteFrom('materials')
    .where('region', '=', key.region)
    .where('account', '=', key.account)
    .where('key_id', '=', key.id)
    .where('id', '=', materialId)
    .execute()
}

/** Keys with imported material that is to be deleted by now, the longest overdue first; `limit` is of materials. */
export async function listKeysWithExpiredMaterial(db: Handle, nowMs: number, limit: number): Promise<KmsKey[]> {
  // Grouped here: SQLite would group along the primary key, and look at every material for it.
  const due = await db
    .selectFrom('materials')
    .select(['region', 'account', 'key_id'])
    .where('expires_at_ms', '<=', nowMs)
    .orderBy('expires_at_ms')
    .limit(limit)
    .execute()
  const owners = new Map(due.map(row => [`${row.region}/${row.account}/${row.key_id}`, row]))
  const keys = await Promise.all([...owners.values()].map(row => findKey(db, row, row.key_id)))
  return keys.filter(key => key !== undefined)
}

export async function updateKey(db: Handle, key: KmsKey): Promise<void> {
  const updated = await db
    .updateTable('keys')
    .set({
      state: key.state,
      description: key.description,
      policy: key.policy,
      policy_principals: JSON.stringify([...key.policyPrincipals]),
      deletion_at_ms: key.deletionAtMs ?? null,
      ...rotationColumns(key),
      ...multiRegionColumns(key),
      generation: key.generation,
    })
    .where('region', '=', key.region)
    .where('account', '=', key.account)
    .where('id', '=', key.id)
    .where('generation', '=', key.generation - 1)
    .executeTakeFirstOrThrow()
  requireUpdated(updated, `key ${key.id}`)
}

/** The foreign keys take the materials, aliases and tags along. */
export async function deleteKey(db: Handle, key: KmsKey, nowMs: number): Promise<void> {
  const deleted = await db
    .deleteFrom('keys')
    .where('region', '=', key.region)
    .where('account', '=', key.account)
    .where('id', '=', key.id)
    .where('generation', '=', key.generation)
    .executeTakeFirstOrThrow()
  requireDeleted(deleted, `key ${key.id}`)
  await changeKeyCount(db, key, -1)
  // The replica of a multi-Region key may be made again under the same id, and deleted again.
  const values = { deleted_at_ms: nowMs, erased_at_ms: null, ...(await newestVersion(db, key)) }
  await db
    .insertInto('tombstones')
    .values({ table_name: 'keys', primary_key: `${key.region}/${key.account}/${key.id}`, ...values })
    .onConflict(conflict => conflict.columns(['table_name', 'primary_key']).doUpdateSet(values))
    .execute()
}

/** No record of the key, in whatever copy, can be under a newer version. */
async function newestVersion(db: Handle, { region, id }: KmsKey): Promise<{ domain: string; dk_version: number }> {
  const domain = isMultiRegionKeyId(id) ? MULTI_REGION_DOMAIN : region
  const { version } = await db
    .selectFrom('domain_key_versions')
    .select(({ fn }) => fn.max('version').as('version'))
    .where('region', '=', domain)
    .where('kind', '=', 'dk')
    .executeTakeFirstOrThrow()
  return { domain, dk_version: version ?? 0 }
}

/** Rows that belong to the key of the enclosing query. */
const OF_KEY = (table: string) => {
  const of = (column: string) => sql.ref(`${table}.${column}`)
  return sql<boolean>`${of('region')} = keys.region and ${of('account')} = keys.account and ${of('key_id')} = keys.id`
}

const selectKey = buildOnce((db, region: string, account: string, keyId: string) =>
  db
    .selectFrom('keys')
    .leftJoin('materials', join =>
      join
        .onRef('materials.region', '=', 'keys.region')
        .onRef('materials.account', '=', 'keys.account')
        .onRef('materials.key_id', '=', 'keys.id'),
    )
    .select(['keys.id', 'keys.spec', 'keys.usage', 'keys.origin', 'keys.state', 'keys.description', 'keys.policy'])
    .select(['keys.policy_principals', 'keys.created_at_ms', 'keys.deletion_at_ms', 'keys.generation'])
    .select(['keys.rotation_period_days', 'keys.rotation_next_at_ms', 'keys.managed_by', 'materials.rotation_type'])
    .select(['keys.primary_region', 'keys.deletion_window_days'])
    .select([
      'materials.id as material_id',
      'materials.state as material_state',
      'materials.ekt',
      'materials.public_key',
      'materials.rotated_at_ms',
      'materials.expires_at_ms',
      'materials.description as material_description',
      'materials.commitment',
    ])
    .select('materials.created_at_ms as material_created_at_ms')
    .select(listInJson('tags', ['tag_key', 'tag_value'], OF_KEY).as('tags'))
    .select(listInJson('aliases', ['name'], OF_KEY).as('aliases'))
    .select(sql<number>`exists (select 1 from grants where ${OF_KEY('grants')})`.as('granted'))
    .where('keys.region', '=', region)
    .where('keys.account', '=', account)
    .where('keys.id', '=', keyId)
    .orderBy('materials.created_at_ms')
    .orderBy('materials.id'),
)

const selectOwner = buildOnce((db, region: string, keyId: string) =>
  db.selectFrom('keys').select('account').where('region', '=', region).where('id', '=', keyId),
)

interface MaterialRow {
  readonly material_id: string | null
  readonly material_state: KeyMaterial['state'] | null
  readonly material_created_at_ms: number | null
  readonly rotation_type: KeyMaterial['rotationType'] | null
  readonly rotated_at_ms: number | null
  readonly ekt: Uint8Array | null
  readonly public_key: Uint8Array | null
  readonly expires_at_ms: number | null
  readonly material_description: string | null
  readonly commitment: Uint8Array | null
}

/** No material where the left join found none. */
function materialOf(row: MaterialRow): KeyMaterial[] {
  const { material_id: id, material_state: state, material_created_at_ms: createdAtMs, ekt } = row
  if (id === null || state === null || createdAtMs === null || ekt === null) return []
  const imported = {
    expiresAtMs: row.expires_at_ms ?? undefined,
    description: row.material_description ?? undefined,
    commitment: row.commitment === null ? undefined : bufferOf(row.commitment),
  }
  return [
    {
      ...{ id, state, createdAtMs, ekt: presentEktOf(ekt) },
      rotationType: row.rotation_type ?? undefined,
      rotatedAtMs: row.rotated_at_ms ?? undefined,
      publicKey: row.public_key === null ? undefined : bufferOf(row.public_key),
      ...imported,
    },
  ]
}

function presentEktOf(record: Uint8Array): Ekt | undefined {
  return record.length === NO_RECORD.length ? undefined : ektOf(record)
}

function rotationOf(periodDays: number | null, nextAtMs: number | null): KmsKey['rotation'] {
  return periodDays === null || nextAtMs === null ? undefined : { periodDays, nextAtMs }
}

function rotationColumns({ rotation }: KmsKey) {
  return { rotation_period_days: rotation?.periodDays ?? null, rotation_next_at_ms: rotation?.nextAtMs ?? null }
}

function multiRegionColumns({ primaryRegion, deletionWindowDays }: KmsKey) {
  return { primary_region: primaryRegion ?? null, deletion_window_days: deletionWindowDays ?? null }
}

/** One, but for keys that material is imported into, which may never have had any. */
function currentOf(
  materials: readonly KeyMaterial[],
  { id, origin }: Pick<KmsKey, 'id' | 'origin'>,
): KeyMaterial | undefined {
  const [current, ...others] = materials.filter(material => material.state === 'CURRENT')
  const none = current === undefined && origin === 'EXTERNAL'
  assert(none || (current !== undefined && others.length === 0), `key ${id} must have one CURRENT material`)
  return current
}

/** Of material that is away. */
const NO_VERSION = 0
const NO_RECORD = Buffer.alloc(0)
