/** Managed policies: documents with a name of their own and versions, attached to identities by reference. */
import { policyArn } from '../../model/arn.ts'
import type { ManagedPolicy, PolicyVersion } from '../../model/identity.ts'
import { buildOnce } from './build-once.ts'
import { requireDeleted, requireInserted, requireUpdated } from './outcomes.ts'
import type { Handle, Tables } from './tables.ts'

export async function findManagedPolicy(db: Handle, account: string, name: string): Promise<ManagedPolicy | undefined> {
  return policiesOf(await selectByName(db, account, name))[0]
}

/** By name. */
export async function listManagedPolicies(db: Handle, account: string): Promise<ManagedPolicy[]> {
  return policiesOf(await selectPolicies(db).where('policies.account', '=', account).execute())
}

export async function insertManagedPolicy(db: Handle, policy: ManagedPolicy): Promise<void> {
  const { id, account, path, name, description, defaultVersion, createdAtMs, generation } = policy
  const inserted = await db
    .insertInto('managed_policies')
    .values({
      ...{ id, account, path, name, description, generation },
      ...{ default_version: defaultVersion, created_at_ms: createdAtMs },
    })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `policy ${name}`)
  await insertVersions(db, policy)
}

/** Writes description and versions; `generation` must be one above the stored one. */
export async function updateManagedPolicy(db: Handle, policy: ManagedPolicy): Promise<void> {
  const { id, name, description, defaultVersion, generation } = policy
  const updated = await db
    .updateTable('managed_policies')
    .set({ description, default_version: defaultVersion, generation })
    .where('id', '=', id)
    .where('generation', '=', generation - 1)
    .executeTakeFirstOrThrow()
  requireUpdated(updated, `policy ${name}`)
  await db.deleteFrom('managed_policy_versions').where('policy_id', '=', id).execute()
  await insertVersions(db, policy)
}

/** Nothing may be attached to it. */
export async function deleteManagedPolicy(db: Handle, { id, name, generation }: ManagedPolicy): Promise<void> {
  const deleted = await db
    .deleteFrom('managed_policies')
    .where('id', '=', id)
    .where('generation', '=', generation)
    .executeTakeFirstOrThrow()
  requireDeleted(deleted, `policy ${name}`)
}

/** Identities that it is attached to or that it is the boundary of, as `<kind> <name>`. */
export async function listPolicyHolders(db: Handle, { id }: ManagedPolicy): Promise<string[]> {
  const rows = await db
    .selectFrom('identities')
    .leftJoin('attached_policies as attached', join =>
      join.onRef('attached.principal_id', '=', 'identities.principal_id').on('attached.policy_id', '=', id),
    )
    .select(['identities.kind', 'identities.name'])
    .where(eb => eb.or([eb('identities.boundary_id', '=', id), eb('attached.policy_id', '=', id)]))
    .orderBy('identities.kind')
    .orderBy('identities.name')
    .execute()
  return rows.map(({ kind, name }) => `${kind} ${name}`)
}

async function insertVersions(db: Handle, { id, versions }: ManagedPolicy): Promise<void> {
  const rows = [...versions].map(([version, { document, createdAtMs }]) => {
    return { policy_id: id, version, document, created_at_ms: createdAtMs }
  })
  await db.insertInto('managed_policy_versions').values(rows).execute()
}

const selectByName = buildOnce((db, account: string, name: string) =>
  selectPolicies(db).where('policies.account', '=', account).where('policies.name', '=', name),
)

function selectPolicies(db: Handle) {
  return db
    .selectFrom('managed_policies as policies')
    .innerJoin('managed_policy_versions as versions', 'versions.policy_id', 'policies.id')
    .selectAll('policies')
    .select(['versions.version', 'versions.document', 'versions.created_at_ms as version_created_at_ms'])
    .orderBy('policies.name')
    .orderBy('versions.version')
}

type PolicyRow = Tables['managed_policies'] & {
  readonly version: number
  readonly document: string
  readonly version_created_at_ms: number
}

function policiesOf(rows: readonly PolicyRow[]): ManagedPolicy[] {
  return [...Map.groupBy(rows, row => row.id).values()].map(group => {
    const { id, account, path, name, description, generation, ...row } = group[0]!
    return {
      ...{ id, account, path, name, arn: policyArn(account, path, name), description, generation },
      ...{ createdAtMs: row.created_at_ms, defaultVersion: row.default_version },
      versions: new Map(group.map((each): [number, PolicyVersion] => [each.version, versionOf(each)])),
    }
  })
}

function versionOf({ document, version_created_at_ms: createdAtMs }: PolicyRow): PolicyVersion {
  return { document, createdAtMs }
}
