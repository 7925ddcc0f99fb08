/** Domains with the versions of their keys and the tokens that hold them, and the daemon's own HBKs. */
import type { Selectable } from 'kysely'
import { dkVersionOf } from '../../formats/ekt.ts'
import type { Domain, DomainKeyVersion, EnrolledToken, Rotation } from '../domain.ts'
import type { DaemonKey } from '../records.ts'
import { requireWritableVersion } from './ekts.ts'
import { bufferOf, ektOf, requireInserted, requireUpdated } from './outcomes.ts'
import type { Handle, Tables } from './tables.ts'

/**
 * One statement, so that domain, versions and tokens are of one moment: each version comes once for each token, and each of
 * those once for each version that the token holds. All are few. Versions come by kind and number, tokens in the order of
 * their enrolment.
 */
export async function findDomain(db: Handle, region: string): Promise<Domain | undefined> {
  const rows = await db
    .selectFrom('domains')
    .leftJoin('domain_key_versions as versions', 'versions.region', 'domains.region')
    .leftJoin('domain_tokens as tokens', 'tokens.region', 'domains.region')
    .leftJoin('domain_token_versions as held', join =>
      join.onRef('held.region', '=', 'tokens.region').onRef('held.serial', '=', 'tokens.serial'),
    )
    .selectAll('domains')
    .select(['versions.kind', 'versions.version', 'versions.fork_id', 'versions.check_value'])
    .select(['versions.state as version_state', 'versions.swept_at_ms'])
    .select(['tokens.serial', 'tokens.label', 'tokens.state as token_state'])
    .select(['tokens.audit_public_key', 'tokens.enrolled_at_ms', 'tokens.sealed as token_sealed'])
    .select('held.version as held_version')
    .where('domains.region', '=', region)
    .orderBy('versions.kind')
    .orderBy('versions.version')
    .orderBy('tokens.enrolled_at_ms')
    .orderBy('tokens.serial')
    .orderBy('held.version')
    .execute()
  const [domain] = rows
  if (domain === undefined) return undefined
  const versions = new Map<string, DomainKeyVersion>()
  const tokens = new Map<string, EnrolledToken & { versions: number[] }>()
  for (const { kind, version, fork_id: forkId, check_value: checkValue, version_state: state, swept_at_ms } of rows) {
    if (kind === null || version === null || forkId === null || checkValue === null || state === null) continue
    const sweptAtMs = swept_at_ms ?? undefined
    versions.set(`${kind} ${version}`, { kind, version, forkId, checkValue, state, sweptAtMs })
  }
  for (const row of rows) {
    const { serial, label, token_state: state, audit_public_key: publicKey, enrolled_at_ms: enrolledAtMs } = row
    if (serial === null || label === null || state === null || publicKey === null || enrolledAtMs === null) continue
    const identity = { serial, label, state, auditPublicKey: bufferOf(publicKey), enrolledAtMs }
    const token = tokens.get(serial) ?? { ...identity, sealed: row.token_sealed === 1, versions: [] }
    if (row.held_version !== null && !token.versions.includes(row.held_version)) token.versions.push(row.held_version)
    tokens.set(serial, token)
  }
  return {
    ...{ id: domain.id, region, state: domain.state, sealed: domain.sealed === 1, createdAtMs: domain.created_at_ms },
    schemes: { wrapScheme: domain.wrap_scheme, kdf: domain.kdf },
    generation: domain.generation,
    rotation: rotationOf(domain),
    versions: [...versions.values()],
    tokens: [...tokens.values()],
  }
}

/** Throws ChangedMeanwhile when the stored generation is not the one before. */
export async function putDomain(db: Handle, domain: Domain): Promise<void> {
  const { region, id, state, generation, rotation } = domain
  const row = {
    ...{
      id,
      state,
      sealed: domain.sealed ? (1 as const) : (0 as const),
      created_at_ms: domain.createdAtMs,
      generation,
    },
    wrap_scheme: domain.schemes.wrapScheme,
    kdf: domain.schemes.kdf,
    rotation_to: rotation?.to ?? null,
    rotation_step: rotation?.step ?? null,
    rotation_started_at_ms: rotation?.startedAtMs ?? null,
  }
  const known = await db.selectFrom('domains').select('generation').where('region', '=', region).executeTakeFirst()
  if (known === undefined)
    await db
      .insertInto('domains')
      .values({ region, ...row })
      .execute()
  else {
    const updated = await db
      .updateTable('domains')
      .set(row)
      .where('region', '=', region)
      .where('generation', '=', generation - 1)
      .executeTakeFirstOrThrow()
    requireUpdated(updated, `the domain of ${region}`)
  }
  await db.deleteFrom('domain_token_versions').where('region', '=', region).execute()
  await db.deleteFrom('domain_key_versions').where('region', '=', region).execute()
  await db.deleteFrom('domain_tokens').where('region', '=', region).execute()
  for (const { kind, version, forkId, checkValue, state, sweptAtMs } of domain.versions) {
    const values = { region, kind, version, fork_id: forkId, check_value: checkValue, state }
    await db
      .insertInto('domain_key_versions')
      .values({ ...values, swept_at_ms: sweptAtMs ?? null })
      .execute()
  }
  for (const { serial, label, state, auditPublicKey, enrolledAtMs, sealed, versions } of domain.tokens) {
    await db
      .insertInto('domain_tokens')
      .values({
        ...{ region, serial, label, state, audit_public_key: auditPublicKey, enrolled_at_ms: enrolledAtMs },
        sealed: sealed ? 1 : 0,
      })
      .execute()
    for (const version of versions)
      await db.insertInto('domain_token_versions').values({ region, serial, version }).execute()
  }
}

export async function findDaemonKey(db: Handle, purpose: string): Promise<DaemonKey | undefined> {
  const row = await db.selectFrom('daemon_keys').selectAll().where('purpose', '=', purpose).executeTakeFirst()
  if (row === undefined) return undefined
  const key = { purpose, region: row.region, kid: bufferOf(row.kid), ekt: ektOf(row.ekt) }
  return row.data_key === null ? key : { ...key, dataKey: bufferOf(row.data_key) }
}

export async function insertDaemonKey(db: Handle, { purpose, region, kid, ekt, dataKey }: DaemonKey): Promise<void> {
  const dkVersion = dkVersionOf(ekt.record)
  await requireWritableVersion(db, region, dkVersion)
  const inserted = await db
    .insertInto('daemon_keys')
    .values({ purpose, region, kid, ekt: ekt.record, dk_version: dkVersion, data_key: dataKey ?? null })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `the daemon's key for ${purpose}`)
}

function rotationOf(row: Selectable<Tables['domains']>): Rotation | undefined {
  const { rotation_to: to, rotation_step: step, rotation_started_at_ms: startedAtMs } = row
  return to === null || step === null || startedAtMs === null ? undefined : { to, step, startedAtMs }
}
