/**
 * The domain of a region: created in a first token, carried to the others under a one-shot transfer key (design.md 3).
 * Each step looks first at what is there: a second run changes nothing, and an interrupted one is taken up again.
 */
import { randomBytes } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { Clock } from '../../base/clock.ts'
import type { CeremonyResult, DomainForks, DomainInToken, PinSource } from '../../hsm/contract/ceremony.ts'
import type { TokenLocation } from '../../hsm/contract/host-configuration.ts'
import type { Schemes } from '../../hsm/contract/token-profile.ts'
import { Ceremony } from '../../hsm/pool/ceremony.ts'
import type { Domain, DomainKeyVersion, EnrolledToken, Store } from '../../store/store.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { CommandFailed } from '../admin-client.ts'
import { requireSchemes, requireSealing, schemesFor } from './domain-schemes.ts'

export interface CeremonyParts {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  /** The SO PIN of the token that the domain is carried from; asked for only when one is enrolled. */
  readonly officerPin: (region: string) => Promise<PinSource>
  /** Whether a token that cannot enforce a sealed domain may be enrolled in one; the domain is open from then on. */
  readonly allowOpenToken?: boolean
  /** A line for the operator. */
  readonly say: (line: string) => void
}

interface OpenedToken extends CeremonyResult<'open'> {
  readonly ceremony: Ceremony
}

/** Makes sure that every configured token of a region holds its domain. Throws HsmFault and {@link CommandFailed}. */
export async function ensureDomain(
  parts: CeremonyParts,
  region: { readonly name: string; readonly tokens: readonly TokenLocation[] },
): Promise<Domain> {
  await using ceremonies = new AsyncDisposableStack()
  const tokens = await Promise.all(
    region.tokens.map(async (location): Promise<OpenedToken> => {
      const ceremony = ceremonies.use(new Ceremony(line => parts.logger.warn('output of a ceremony', { line })))
      return { ceremony, ...(await ceremony.call('open', { location })) }
    }),
  )
  requireDistinct(tokens)
  const known = await parts.store.reader.findDomain(region.name)
  const source = known?.state === 'ready' ? await findSource(known, tokens) : tokens[0]
  if (source === undefined)
    throw new CommandFailed(`no configured token of ${region.name} holds its domain ${known?.id ?? ''}`)
  let domain =
    known?.state === 'ready'
      ? known
      : await createDomain(parts, region.name, known, source, schemesFor(region.name, tokens))
  for (const token of tokens) if (token !== source) domain = await enrol(parts, domain, source, token)
  return domain
}

/** A token that is enrolled and proves that it holds the domain's keys. */
async function findSource(domain: Domain, tokens: readonly OpenedToken[]): Promise<OpenedToken | undefined> {
  const enrolled = tokens.filter(({ serial }) => isEnrolled(domain, serial))
  for (const token of enrolled) await requireDomain(domain, token)
  return enrolled[0]
}

async function createDomain(
  { store, clock, say }: CeremonyParts,
  region: string,
  unfinished: Domain | undefined,
  token: OpenedToken,
  schemes: Schemes,
): Promise<Domain> {
  const resumed = unfinished !== undefined && isDeepStrictEqual(unfinished.schemes, schemes)
  const started = resumed ? unfinished : newDomain(region, schemes, clock())
  await store.transaction(tx => tx.putDomain(started))
  await token.ceremony.call('discardDomain', { domainId: started.id })
  const made = await token.ceremony.call('createDomain', forksOf(started))
  const domain: Domain = {
    ...started,
    state: 'ready',
    sealed: made.sealed,
    versions: versionsOf(made),
    tokens: [enrolledToken(token, made, clock())],
  }
  await store.transaction(tx => tx.putDomain(domain))
  say(`${region}: created domain ${domain.id} in token "${token.label}" (${token.serial})`)
  if (schemes.wrapScheme === 'resident')
    say(`${region}: token "${token.label}" cannot wrap keys: each key will reside in one token and nowhere else`)
  return domain
}

async function enrol(parts: CeremonyParts, domain: Domain, source: OpenedToken, token: OpenedToken): Promise<Domain> {
  const { store, clock, say } = parts
  if (isEnrolled(domain, token.serial)) {
    await requireDomain(domain, token)
    return domain
  }
  requireSchemes(domain, source, token)
  requireSealing(domain, token, parts)
  const others = domain.tokens.filter(({ serial }) => serial !== token.serial)
  const enrolling: EnrolledToken = {
    ...identityOf(token),
    state: 'enrolling',
    auditPublicKey: Buffer.alloc(0),
    enrolledAtMs: clock(),
    sealed: false,
  }
  await store.transaction(tx => tx.putDomain({ ...domain, tokens: [...others, enrolling] }))
  await token.ceremony.call('discardDomain', { domainId: domain.id })
  const transferKey = await token.ceremony.call('beginTransfer', {})
  say(`${domain.region}: transfer key of token "${token.label}" has fingerprint ${transferKey.fingerprint}`)
  const officerPin = source.trusted === 'enforced' ? await parts.officerPin(domain.region) : undefined
  const forks = forksOf(domain)
  const transfer = await source.ceremony.call('exportDomain', { domain: forks, transferKey, officerPin })
  const received = await token.ceremony.call('importDomain', { domain: forks, transfer })
  requireSameKeys(domain, received, token)
  const sealed = domain.sealed && received.sealed
  if (domain.sealed && !sealed)
    parts.logger.warn('token does not seal the domain', { region: domain.region, hsm: token.label })
  const enrolled = { ...domain, sealed, tokens: [...others, enrolledToken(token, received, clock())] }
  await store.transaction(tx => tx.putDomain(enrolled))
  say(`${domain.region}: enrolled token "${token.label}" (${token.serial})`)
  return enrolled
}

/** A domain without domain keys is one of tokens that cannot wrap: its HBKs reside in them. */
function newDomain(region: string, schemes: Schemes, nowMs: number): Domain {
  const first = (kind: DomainKeyVersion['kind']) => ({
    kind,
    version: 1,
    forkId: randomBytes(16).toString('hex'),
    checkValue: '0'.repeat(16),
  })
  const id = randomBytes(16).toString('hex')
  return {
    id,
    region,
    state: 'creating',
    sealed: false,
    schemes,
    createdAtMs: nowMs,
    versions: schemes.wrapScheme === 'resident' ? [first('mac')] : [first('dk'), first('mac')],
    tokens: [],
  }
}

function forksOf({ id, schemes, versions }: Domain): DomainForks {
  const of = (kind: DomainKeyVersion['kind']) =>
    versions.filter(version => version.kind === kind).map(({ version, forkId }) => ({ version, forkId }))
  return { domainId: id, schemes, domainKeys: of('dk'), macKeys: of('mac') }
}

function versionsOf({ domainKeys, macKeys }: DomainInToken): DomainKeyVersion[] {
  return [
    ...domainKeys.map(key => ({ kind: 'dk' as const, ...key })),
    ...macKeys.map(key => ({ kind: 'mac' as const, ...key })),
  ]
}

async function requireDomain(domain: Domain, token: OpenedToken): Promise<void> {
  const held = await token.ceremony.call('describeDomain', forksOf(domain))
  if (held === null)
    throw new CommandFailed(`token "${token.label}" (${token.serial}) has lost the keys of domain ${domain.id}`)
  requireSameKeys(domain, held, token)
}

function requireSameKeys(domain: Domain, held: DomainInToken, { label, serial }: OpenedToken): void {
  for (const { kind, version, checkValue } of versionsOf(held)) {
    const expected = domain.versions.find(known => known.kind === kind && known.version === version)
    if (expected?.checkValue === checkValue) continue
    throw new CommandFailed(
      `token "${label}" (${serial}): ${kind}.${version} has check value ${checkValue}, the domain's is ${expected?.checkValue}`,
    )
  }
}

function requireDistinct(tokens: readonly OpenedToken[]): void {
  const serials = tokens.map(({ serial }) => serial)
  const twice = tokens.find(({ serial }, at) => serials.indexOf(serial) !== at)
  if (twice === undefined) return
  const labels = new Set(tokens.filter(({ serial }) => serial === twice.serial).map(({ label }) => label))
  throw new CommandFailed(
    labels.size > 1
      ? `tokens ${[...labels].map(label => `"${label}"`).join(' and ')} have one serial number (${twice.serial}): a region takes one of them`
      : `token "${twice.label}" (${twice.serial}) is configured twice`,
  )
}

function isEnrolled(domain: Domain, serial: string): boolean {
  return domain.tokens.some(token => token.serial === serial && token.state === 'enrolled')
}

function identityOf({ serial, label }: OpenedToken): Pick<EnrolledToken, 'serial' | 'label'> {
  return { serial, label }
}

function enrolledToken(token: OpenedToken, { auditPublicKey, sealed }: DomainInToken, nowMs: number): EnrolledToken {
  return {
    ...identityOf(token),
    state: 'enrolled',
    auditPublicKey: Buffer.from(auditPublicKey, 'base64'),
    enrolledAtMs: nowMs,
    sealed,
  }
}
