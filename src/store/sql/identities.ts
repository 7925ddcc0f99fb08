/** Identities as they are written: always whole, so that a row and what hangs on it are of one generation. */
import type { Identity, IdentityKind } from '../../model/identity.ts'
import { ChangedMeanwhile } from '../faults.ts'
import { requireDeleted, requireInserted, requireUpdated } from './outcomes.ts'
import type { Handle } from './tables.ts'

export async function insertIdentity(db: Handle, identity: Identity): Promise<void> {
  const { principalId, account, kind, name, createdAtMs, generation } = identity
  const inserted = await db
    .insertInto('identities')
    .values({
      ...{ principal_id: principalId, account, kind, name, created_at_ms: createdAtMs, generation },
      ...(await changeableColumns(db, identity)),
    })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `${kind} ${name}`)
  await insertFacts(db, identity)
}

/** `generation` must be one above the stored one. Kind, name and account stay. */
export async function updateIdentity(db: Handle, identity: Identity): Promise<void> {
  const { principalId, kind, name, generation } = identity
  const updated = await db
    .updateTable('identities')
    .set({ generation, ...(await changeableColumns(db, identity)) })
    .where('principal_id', '=', principalId)
    .where('generation', '=', generation - 1)
    .executeTakeFirstOrThrow()
  requireUpdated(updated, `${kind} ${name}`)
  for (const table of ['identity_policies', 'attached_policies', 'group_members', 'identity_tags'] as const)
    await db.deleteFrom(table).where('principal_id', '=', principalId).execute()
  await insertFacts(db, identity)
}

/** The foreign keys take its policies, tags, memberships and access keys along. */
export async function deleteIdentity(db: Handle, identity: Identity): Promise<void> {
  const deleted = await db
    .deleteFrom('identities')
    .where('principal_id', '=', identity.principalId)
    .where('generation', '=', identity.generation)
    .executeTakeFirstOrThrow()
  requireDeleted(deleted, `${identity.kind} ${identity.name}`)
}

/** Names of a group's users, in ascending order. */
export async function listGroupMembers(db: Handle, groupId: string): Promise<string[]> {
  const rows = await db
    .selectFrom('group_members')
    .innerJoin('identities', 'identities.principal_id', 'group_members.principal_id')
    .select('identities.name')
    .where('group_members.group_id', '=', groupId)
    .orderBy('identities.name')
    .execute()
  return rows.map(({ name }) => name)
}

async function changeableColumns(db: Handle, { account, path, boundary, role, actsFor }: Identity) {
  const boundaryId = boundary === undefined ? null : (await managedPolicyIds(db, account, [boundary]))[0]!
  return {
    path,
    boundary_id: boundaryId,
    trust_policy: role?.trustPolicy ?? null,
    trust_principals: role === undefined ? null : JSON.stringify([...role.trustPrincipals]),
    session_seconds_max: role?.sessionSecondsMax ?? null,
    revoked_before_ms: role?.revokedBeforeMs ?? null,
    acts_for: actsFor.length === 0 ? null : JSON.stringify(actsFor),
  }
}

async function insertFacts(db: Handle, identity: Identity): Promise<void> {
  const { principalId: principal_id, account, inlinePolicies, attachedPolicies, groups, tags } = identity
  const rows = {
    identity_policies: [...inlinePolicies].map(([name, document]) => ({ principal_id, name, document })),
    identity_tags: [...tags].map(([tag_key, tag_value]) => ({ principal_id, tag_key, tag_value })),
    attached_policies: (await managedPolicyIds(db, account, attachedPolicies)).map(policy_id => ({
      principal_id,
      policy_id,
    })),
    group_members: (await groupIds(db, account, groups)).map(group_id => ({ principal_id, group_id })),
  }
  if (rows.identity_policies.length > 0)
    await db.insertInto('identity_policies').values(rows.identity_policies).execute()
  if (rows.identity_tags.length > 0) await db.insertInto('identity_tags').values(rows.identity_tags).execute()
  if (rows.attached_policies.length > 0)
    await db.insertInto('attached_policies').values(rows.attached_policies).execute()
  if (rows.group_members.length > 0) await db.insertInto('group_members').values(rows.group_members).execute()
}

async function managedPolicyIds(db: Handle, account: string, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return []
  const rows = await db
    .selectFrom('managed_policies')
    .select('id')
    .where('account', '=', account)
    .where('name', 'in', names)
    .execute()
  return requireAll(rows, names, 'policy').map(({ id }) => id)
}

async function groupIds(db: Handle, account: string, names: readonly string[]): Promise<string[]> {
  if (names.length === 0) return []
  const group: IdentityKind = 'group'
  const rows = await db
    .selectFrom('identities')
    .select('principal_id')
    .where('account', '=', account)
    .where('kind', '=', group)
    .where('name', 'in', names)
    .execute()
  return requireAll(rows, names, group).map(({ principal_id }) => principal_id)
}

function requireAll<R>(rows: R[], names: readonly string[], what: string): R[] {
  if (rows.length === names.length) return rows
  throw new ChangedMeanwhile(`a ${what} is gone: one of ${names.join(', ')}`)
}
