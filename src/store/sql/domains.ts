/** Domains with the versions of their keys and the tokens that hold them, and the daemon's own HBKs. */
import type { DaemonKey, Domain, DomainKeyVersion, EnrolledToken } from '../store.ts'
import { bufferOf, ektOf, requireInserted } from './outcomes.ts'
import type { Handle } from './tables.ts'

/**
 * One statement, so that domain, versions and tokens are of one moment: each version comes once for each token. Both are
 * few. Versions come by kind and number, tokens in the order of their enrolment.
 */
export async function findDomain(db: Handle, region: string): Promise<Domain | undefined> {
  const rows = await db
    .selectFrom('domains')
    .leftJoin('domain_key_versions as versions', 'versions.region', 'domains.region')
    .leftJoin('domain_tokens as tokens', 'tokens.region', 'domains.region')
    .selectAll('domains')
    .select(['versions.kind', 'versions.version', 'versions.fork_id', 'versions.check_value'])
    .select(['tokens.serial', 'tokens.label', 'tokens.state as token_state'])
    .select(['tokens.audit_public_key', 'tokens.enrolled_at_ms', 'tokens.sealed as token_sealed'])
    .where('domains.region', '=', region)
    .orderBy('versions.kind')
    .orderBy('versions.version')
    .orderBy('tokens.enrolled_at_ms')
    .orderBy('tokens.serial')
    .execute()
  const [domain] = rows
  if (domain === undefined) return undefined
  const versions = new Map<string, DomainKeyVersion>()
  const tokens = new Map<string, EnrolledToken>()
  for (const { kind, version, fork_id: forkId, check_value: checkValue } of rows) {
    if (kind === null || version === null || forkId === null || checkValue === null) continue
    versions.set(`${kind} ${version}`, { kind, version, forkId, checkValue })
  }
  for (const { serial, label, token_state: state, audit_public_key: publicKey, ...row } of rows) {
    const { enrolled_at_ms: enrolledAtMs, token_sealed: sealed } = row
    if (serial === null || label === null || state === null || publicKey === null || enrolledAtMs === null) continue
    tokens.set(serial, {
      ...{ serial, label, state, auditPublicKey: bufferOf(publicKey), enrolledAtMs },
      sealed: sealed === 1,
    })
  }
  return {
    ...{ id: domain.id, region, state: domain.state, sealed: domain.sealed === 1, createdAtMs: domain.created_at_ms },
    schemes: { wrapScheme: domain.wrap_scheme, kdf: domain.kdf },
    versions: [...versions.values()],
    tokens: [...tokens.values()],
  }
}

export async function putDomain(db: Handle, domain: Domain): Promise<void> {
  const { region } = domain
  await db.deleteFrom('domain_key_versions').where('region', '=', region).execute()
  await db.deleteFrom('domain_tokens').where('region', '=', region).execute()
  await db.deleteFrom('domains').where('region', '=', region).execute()
  await db
    .insertInto('domains')
    .values({
      ...{ region, id: domain.id, state: domain.state, sealed: domain.sealed ? 1 : 0 },
      created_at_ms: domain.createdAtMs,
      wrap_scheme: domain.schemes.wrapScheme,
      kdf: domain.schemes.kdf,
    })
    .execute()
  for (const { kind, version, forkId, checkValue } of domain.versions) {
    await db
      .insertInto('domain_key_versions')
      .values({ region, kind, version, fork_id: forkId, check_value: checkValue })
      .execute()
  }
  for (const { serial, label, state, auditPublicKey, enrolledAtMs, sealed } of domain.tokens) {
    await db
      .insertInto('domain_tokens')
      .values({
        ...{ region, serial, label, state, audit_public_key: auditPublicKey, enrolled_at_ms: enrolledAtMs },
        sealed: sealed ? 1 : 0,
      })
      .execute()
  }
}

export async function findDaemonKey(db: Handle, purpose: string): Promise<DaemonKey | undefined> {
  const row = await db.selectFrom('daemon_keys').selectAll().where('purpose', '=', purpose).executeTakeFirst()
  return row === undefined ? undefined : { purpose, region: row.region, kid: bufferOf(row.kid), ekt: ektOf(row.ekt) }
}

export async function insertDaemonKey(db: Handle, { purpose, region, kid, ekt }: DaemonKey): Promise<void> {
  const inserted = await db
    .insertInto('daemon_keys')
    .values({ purpose, region, kid, ekt: ekt.record })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `the daemon's key for ${purpose}`)
}
