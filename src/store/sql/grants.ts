/** Grants of keys. */
import type { Grant, GrantConstraints } from '../../model/grant.ts'
import type { KeyGrant, Page, Scope } from '../records.ts'
import { requireDeleted, requireInserted } from './outcomes.ts'
import type { Handle, Tables } from './tables.ts'

/** All of one key, by id. */
export async function grantsOfKey(db: Handle, scope: Scope, keyId: string): Promise<Grant[]> {
  const rows = await ofKey(db, scope, keyId).selectAll().orderBy('id').execute()
  return rows.map(grantOf)
}

export async function findGrant(db: Handle, grantId: string): Promise<KeyGrant | undefined> {
  const row = await db.selectFrom('grants').selectAll().where('id', '=', grantId).executeTakeFirst()
  return row && keyGrantOf(row)
}

/** Of keys of every account in the region. */
export async function listGrantsToRetire(
  db: Handle,
  region: string,
  retiring: string,
  page: Page,
): Promise<KeyGrant[]> {
  const { after } = page
  const rows = await db
    .selectFrom('grants')
    .selectAll()
    .where('region', '=', region)
    .where('retiring', '=', retiring)
    .$if(after !== undefined, query => query.where('id', '>', after!))
    .orderBy('id')
    .limit(page.limit)
    .execute()
  return rows.map(keyGrantOf)
}

export async function insertGrant(db: Handle, { region, account }: Scope, keyId: string, grant: Grant): Promise<void> {
  const { id, name, grantee, retiring, operations, constraints } = grant
  const inserted = await db
    .insertInto('grants')
    .values({
      ...{ id, region, account, key_id: keyId, name, grantee, retiring: retiring ?? null },
      operations: JSON.stringify(operations),
      constraints: writeConstraints(constraints),
      principal_ids: JSON.stringify([...grant.principalIds]),
      issuing_account: grant.issuingAccount,
      token_seed: grant.tokenSeed.toString('hex'),
      created_at_ms: grant.createdAtMs,
    })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `grant ${id}`)
}

export async function deleteGrant(db: Handle, grantId: string): Promise<void> {
  const deleted = await db.deleteFrom('grants').where('id', '=', grantId).executeTakeFirstOrThrow()
  requireDeleted(deleted, `grant ${grantId}`)
}

function ofKey(db: Handle, { region, account }: Scope, keyId: string) {
  return db.selectFrom('grants').where('region', '=', region).where('account', '=', account).where('key_id', '=', keyId)
}

function keyGrantOf(row: Tables['grants']): KeyGrant {
  return { region: row.region, account: row.account, keyId: row.key_id, grant: grantOf(row) }
}

function grantOf(row: Tables['grants']): Grant {
  return {
    id: row.id,
    name: row.name,
    grantee: row.grantee,
    retiring: row.retiring ?? undefined,
    operations: JSON.parse(row.operations) as Grant['operations'],
    constraints: readConstraints(row.constraints),
    principalIds: new Map(JSON.parse(row.principal_ids) as [string, string][]),
    issuingAccount: row.issuing_account,
    createdAtMs: row.created_at_ms,
    tokenSeed: Buffer.from(row.token_seed, 'hex'),
  }
}

/** Pairs as lists: in a JSON object a pair named `__proto__` would be lost. */
interface StoredConstraints {
  readonly equals?: readonly (readonly [string, string])[]
  readonly subset?: readonly (readonly [string, string])[]
  readonly sourceArn?: string
}

function writeConstraints(constraints: GrantConstraints): string {
  const { encryptionContextEquals: equals, encryptionContextSubset: subset, sourceArn } = constraints
  const stored: StoredConstraints = {
    ...(equals && { equals: [...equals] }),
    ...(subset && { subset: [...subset] }),
    ...(sourceArn !== undefined && { sourceArn }),
  }
  return JSON.stringify(stored)
}

function readConstraints(text: string): GrantConstraints {
  const { equals, subset, sourceArn } = JSON.parse(text) as StoredConstraints
  return {
    ...(equals && { encryptionContextEquals: new Map(equals) }),
    ...(subset && { encryptionContextSubset: new Map(subset) }),
    ...(sourceArn !== undefined && { sourceArn }),
  }
}
