/**
 * Identities as they are read: the row with everything that hangs on it, in one statement, so that all of it is of one
 * moment. Each fact (a policy, a tag, a group) is a row beside the columns of its identity.
 */
import { type SelectQueryBuilder, sql } from 'kysely'
import { groupArn, policyArn, roleArn, rootArn, servicePrincipal, userArn } from '../../model/arn.ts'
import type { PolicySource } from '../../model/caller.ts'
import type { Identity, IdentityKind, Principal } from '../../model/identity.ts'
import { buildOnce } from './build-once.ts'
import type { Handle, Tables } from './tables.ts'

type IdentityRow = Tables['identities']

/** ARNs are made, not stored: two columns could disagree. */
const ARN_OF: Record<IdentityKind, (account: string, path: string, name: string) => string> = {
  root: rootArn,
  user: userArn,
  role: roleArn,
  group: groupArn,
  service: (_account, _path, name) => servicePrincipal(name),
}

export async function findPrincipal(db: Handle, principalId: string): Promise<Principal | undefined> {
  return principalsOf(await selectById(db, principalId))[0]
}

export async function findIdentity(
  db: Handle,
  account: string,
  kind: IdentityKind,
  name: string,
): Promise<Identity | undefined> {
  return principalsOf(await selectByName(db, account, kind, name))[0]?.identity
}

export async function findService(db: Handle, name: string): Promise<Identity | undefined> {
  return principalsOf(await selectByNameAlone(db, 'service', name))[0]?.identity
}

/** By name. */
export async function listIdentities(db: Handle, account: string, kind: IdentityKind): Promise<Identity[]> {
  return principalsOf(await selectByKind(db, account, kind)).map(({ identity }) => identity)
}

function identityArn(kind: IdentityKind, account: string, path: string, name: string): string {
  return ARN_OF[kind](account, path, name)
}

const selectById = buildOnce((db, principalId: string) =>
  withFacts(db, select => select.where('principal_id', '=', principalId)),
)
const selectByName = buildOnce((db, account: string, kind: string, name: string) =>
  withFacts(db, select =>
    select
      .where('account', '=', account)
      .where('kind', '=', kind as IdentityKind)
      .where('name', '=', name),
  ),
)
const selectByNameAlone = buildOnce((db, kind: string, name: string) =>
  withFacts(db, select => select.where('kind', '=', kind as IdentityKind).where('name', '=', name)),
)
const selectByKind = buildOnce((db, account: string, kind: string) =>
  withFacts(db, select => select.where('account', '=', account).where('kind', '=', kind as IdentityKind)),
)

type Choice = SelectQueryBuilder<Tables, 'identities', IdentityRow>

function withFacts(db: Handle, choose: (select: Choice) => Choice) {
  return (
    db
      .with('chosen', q => choose(q.selectFrom('identities').selectAll()))
      // Who lends an identity its policies: itself, and its groups.
      .with('lenders', q =>
        q
          .selectFrom('chosen')
          .select(['chosen.principal_id', 'chosen.principal_id as lender_id', 'chosen.name as lender'])
          .unionAll(
            q
              .selectFrom('chosen')
              .innerJoin('group_members', 'group_members.principal_id', 'chosen.principal_id')
              .innerJoin('identities as lending', 'lending.principal_id', 'group_members.group_id')
              .select(['chosen.principal_id', 'group_members.group_id as lender_id', 'lending.name as lender']),
          ),
      )
      .with('managed', q =>
        q
          .selectFrom('managed_policies as policies')
          .innerJoin('managed_policy_versions as versions', join =>
            join
              .onRef('versions.policy_id', '=', 'policies.id')
              .onRef('versions.version', '=', 'policies.default_version'),
          )
          .select(['policies.id', 'policies.path', 'policies.name', 'versions.document']),
      )
      .with('facts', q =>
        q
          .selectFrom('lenders')
          .innerJoin('identity_policies as inline', 'inline.principal_id', 'lenders.lender_id')
          .select([sql<Part>`'inline'`.as('part'), 'lenders.principal_id', 'lenders.lender_id', 'lenders.lender'])
          .select(['inline.name', sql<string>`''`.as('path'), 'inline.document as text'])
          .unionAll(
            q
              .selectFrom('lenders')
              .innerJoin('attached_policies as attached', 'attached.principal_id', 'lenders.lender_id')
              .innerJoin('managed', 'managed.id', 'attached.policy_id')
              .select([sql<Part>`'managed'`.as('part'), 'lenders.principal_id', 'lenders.lender_id', 'lenders.lender'])
              .select(['managed.name', 'managed.path', 'managed.document as text']),
          )
          .unionAll(
            q
              .selectFrom('chosen')
              .innerJoin('managed', 'managed.id', 'chosen.boundary_id')
              .select([sql<Part>`'boundary'`.as('part'), 'chosen.principal_id', 'chosen.principal_id as lender_id'])
              .select(['chosen.name as lender', 'managed.name', 'managed.path', 'managed.document as text']),
          )
          .unionAll(
            q
              .selectFrom('chosen')
              .innerJoin('identity_tags as tags', 'tags.principal_id', 'chosen.principal_id')
              .select([sql<Part>`'tag'`.as('part'), 'chosen.principal_id', 'chosen.principal_id as lender_id'])
              .select(['chosen.name as lender', 'tags.tag_key as name', sql<string>`''`.as('path')])
              .select('tags.tag_value as text'),
          )
          .unionAll(
            q
              .selectFrom('lenders')
              .whereRef('lenders.lender_id', '!=', 'lenders.principal_id')
              .select([sql<Part>`'group'`.as('part'), 'lenders.principal_id', 'lenders.lender_id', 'lenders.lender'])
              .select(['lenders.lender as name', sql<string>`''`.as('path'), sql<string>`''`.as('text')]),
          ),
      )
      .selectFrom('chosen')
      .leftJoin('facts', 'facts.principal_id', 'chosen.principal_id')
      .selectAll('chosen')
      .select(['facts.part', 'facts.lender_id', 'facts.lender', 'facts.name as fact_name', 'facts.path as fact_path'])
      .select('facts.text as fact_text')
      .orderBy('chosen.name')
      .orderBy('facts.part')
      .orderBy('facts.lender')
      .orderBy('facts.name')
  )
}

type Part = 'inline' | 'managed' | 'boundary' | 'tag' | 'group'

/** An identity with one of its facts, or with none when it has none at all. */
interface FactRow extends IdentityRow {
  readonly part: Part | null
  readonly lender_id: string | null
  readonly lender: string | null
  readonly fact_name: string | null
  readonly fact_path: string | null
  readonly fact_text: string | null
}

interface Fact {
  readonly part: Part
  /** Of the identity itself, not of a group. */
  readonly own: boolean
  readonly lender: string
  readonly name: string
  readonly path: string
  readonly text: string
}

function principalsOf(rows: readonly FactRow[]): Principal[] {
  return [...Map.groupBy(rows, row => row.principal_id).values()].map(group => principalOf(group[0]!, factsOf(group)))
}

function factsOf(rows: readonly FactRow[]): Fact[] {
  return rows.flatMap(row => {
    const { part, lender, fact_name: name, fact_path: path, fact_text: text } = row
    if (part === null || lender === null || name === null || path === null || text === null) return []
    return [{ part, own: row.lender_id === row.principal_id, lender, name, path, text }]
  })
}

function principalOf(row: IdentityRow, facts: readonly Fact[]): Principal {
  const { account, kind, path, name } = row
  const of = (part: Part) => facts.filter(fact => fact.part === part)
  const own = (part: Part) => of(part).filter(fact => fact.own)
  const boundary = of('boundary')[0]
  const source = (fact: Fact): PolicySource =>
    fact.part === 'inline'
      ? { name: `inline policy ${fact.name} of ${fact.own ? kind : 'group'} ${fact.lender}`, document: fact.text }
      : { name: policyArn(account, fact.path, fact.name), document: fact.text }
  return {
    identity: {
      ...{ principalId: row.principal_id, account, kind, path, name, arn: identityArn(kind, account, path, name) },
      ...{ createdAtMs: row.created_at_ms, generation: row.generation },
      tags: new Map(of('tag').map(fact => [fact.name, fact.text])),
      inlinePolicies: new Map(own('inline').map(fact => [fact.name, fact.text])),
      attachedPolicies: own('managed').map(fact => fact.name),
      boundary: boundary?.name,
      groups: of('group').map(fact => fact.name),
      role:
        row.trust_policy === null
          ? undefined
          : {
              trustPolicy: row.trust_policy,
              trustPrincipals: new Map(JSON.parse(row.trust_principals ?? '[]') as [string, string][]),
              sessionSecondsMax: row.session_seconds_max ?? 0,
              revokedBeforeMs: row.revoked_before_ms ?? 0,
            },
      actsFor: JSON.parse(row.acts_for ?? '[]') as string[],
    },
    policies: [...of('inline'), ...of('managed')].map(source),
    boundary: boundary === undefined ? undefined : source(boundary),
  }
}

/** What an identity is made of beside itself: its groups, and the managed policies of it and of them, its boundary too. */
export async function lendersOf(
  db: Handle,
  principalId: string,
): Promise<{ identities: readonly string[]; policies: readonly string[] }> {
  const groups = await db
    .selectFrom('group_members')
    .select('group_id')
    .where('principal_id', '=', principalId)
    .execute()
  const identities = [principalId, ...groups.map(({ group_id }) => group_id)]
  const attached = await db
    .selectFrom('attached_policies')
    .select('policy_id')
    .where('principal_id', 'in', identities)
    .execute()
  const limited = await db
    .selectFrom('identities')
    .select('boundary_id')
    .where('principal_id', '=', principalId)
    .executeTakeFirst()
  const ids = [...attached.map(({ policy_id }) => policy_id), limited?.boundary_id ?? undefined]
  return { identities, policies: [...new Set(ids.filter(id => id !== undefined))] }
}
