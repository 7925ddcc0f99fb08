/** Accounts and the identities in them, with their policies. */
import type { Insertable } from 'kysely'
import { userArn } from '../../model/arn.ts'
import type { Identity, IdentityKind } from '../../model/identity.ts'
import { requireDeleted, requireInserted } from './outcomes.ts'
import type { Handle, Tables } from './tables.ts'

/** ARNs are made, not stored: two columns could disagree. */
const ARN_OF: Record<IdentityKind, (account: string, path: string, name: string) => string> = { user: userArn }

export async function accountExists(db: Handle, account: string): Promise<boolean> {
  const row = await db.selectFrom('accounts').select('id').where('id', '=', account).executeTakeFirst()
  return row !== undefined
}

export async function insertAccount(db: Handle, account: string, nowMs: number): Promise<void> {
  const inserted = await db
    .insertInto('accounts')
    .values({ id: account, created_at_ms: nowMs })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `account ${account}`)
}

export async function findIdentity(db: Handle, account: string, name: string): Promise<Identity | undefined> {
  const rows = await selectIdentities(db)
    .where('identities.account', '=', account)
    .where('identities.name', '=', name)
    .execute()
  return identitiesOf(rows)[0]
}

/** By name. */
export async function listIdentities(db: Handle, account: string): Promise<Identity[]> {
  return identitiesOf(await selectIdentities(db).where('identities.account', '=', account).execute())
}

export async function insertIdentity(db: Handle, identity: Identity): Promise<void> {
  const { principalId, account, kind, path, name, createdAtMs } = identity
  const inserted = await db
    .insertInto('identities')
    .values({ principal_id: principalId, account, kind, path, name, created_at_ms: createdAtMs })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `${kind} ${name}`)
  for (const [policy, document] of identity.policies) await putIdentityPolicy(db, identity, policy, document)
}

/** The foreign keys take its policies and access keys along. */
export async function deleteIdentity(db: Handle, identity: Identity): Promise<void> {
  const deleted = await db
    .deleteFrom('identities')
    .where('principal_id', '=', identity.principalId)
    .executeTakeFirstOrThrow()
  requireDeleted(deleted, `${identity.kind} ${identity.name}`)
}

export async function putIdentityPolicy(db: Handle, identity: Identity, name: string, document: string): Promise<void> {
  const row: Insertable<Tables['identity_policies']> = { principal_id: identity.principalId, name, document }
  await db
    .insertInto('identity_policies')
    .values(row)
    .onConflict(conflict => conflict.columns(['principal_id', 'name']).doUpdateSet({ document }))
    .execute()
}

export async function deleteIdentityPolicy(db: Handle, identity: Identity, name: string): Promise<void> {
  const deleted = await db
    .deleteFrom('identity_policies')
    .where('principal_id', '=', identity.principalId)
    .where('name', '=', name)
    .executeTakeFirstOrThrow()
  requireDeleted(deleted, `policy ${name} of ${identity.kind} ${identity.name}`)
}

/** One row for each policy, and one for an identity that has none: in one statement, so that they are of one moment. */
export interface IdentityRow {
  readonly principal_id: string
  readonly account: string
  readonly kind: IdentityKind
  readonly path: string
  readonly identity_name: string
  readonly identity_created_at_ms: number
  readonly policy_name: string | null
  readonly document: string | null
}

/** Identities from rows, in the order of the rows. */
export function identitiesOf(rows: readonly IdentityRow[]): Identity[] {
  const byPrincipal = Map.groupBy(rows, row => row.principal_id)
  return [...byPrincipal.values()].map(([row, ...others]) => {
    const { principal_id: principalId, account, kind, path, identity_name: name } = row!
    const policies = new Map<string, string>()
    for (const { policy_name: policy, document } of [row!, ...others]) {
      if (policy !== null && document !== null) policies.set(policy, document)
    }
    const arn = ARN_OF[kind](account, path, name)
    return { principalId, account, kind, path, name, arn, policies, createdAtMs: row!.identity_created_at_ms }
  })
}

/** The columns of an IdentityRow. */
export const IDENTITY_COLUMNS = [
  'identities.principal_id',
  'identities.account',
  'identities.kind',
  'identities.path',
  'identities.name as identity_name',
  'identities.created_at_ms as identity_created_at_ms',
  'identity_policies.name as policy_name',
  'identity_policies.document',
] as const

function selectIdentities(db: Handle) {
  return db
    .selectFrom('identities')
    .leftJoin('identity_policies', 'identity_policies.principal_id', 'identities.principal_id')
    .select(IDENTITY_COLUMNS)
    .orderBy('identities.name')
    .orderBy('identity_policies.name')
}
