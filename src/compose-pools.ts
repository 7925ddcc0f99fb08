/** From configuration and domain rows to the pools of HSMs: shared by the daemon and by ceremonies. */
import { parsePkcs11Uri } from './base/pkcs11-uri.ts'
import { MULTI_REGION_DOMAIN } from './base/region.ts'
import { type Configuration, serviceProcessesOf } from './config/schema.ts'
import type { DescribedDomains, DomainDescription, KeyVersion } from './hsm/contract/host-configuration.ts'
import type { TokenSettings } from './hsm/pool/member.ts'
import { HsmPool, type PoolSiblings, type PoolTelemetry } from './hsm/pool/pool.ts'
import type { Domain } from './store/domain.ts'
import type { Reader, Store } from './store/store.ts'

/** Something that an operator has to do first; the message says what. */
export class NotReady extends Error {
  override readonly name = 'NotReady'
}

/** A domain as a host is told of it: the versions that are in use. */
export function describeDomain({ id, region, schemes, versions }: Domain): DomainDescription {
  const of = (kind: 'dk' | 'mac'): KeyVersion[] =>
    versions
      .filter(version => version.kind === kind && version.state === 'active')
      .map(({ version, forkId, checkValue }) => ({ version, forkId, checkValue }))
  return { id, region, schemes, domainKeys: of('dk'), macKeys: of('mac') }
}

/**
 * The domains of a region as its hosts are told of them: from rows that nobody has verified, since it is these hosts who can.
 * The keys that a row names are looked for in the token, by their check values; what else it says is verified before anything
 * is believed that the domain has signed (store/domain-gate.ts), and whenever it changes (tasks/follow-domains.ts). Of the one
 * that regions share they learn once every token of the region holds it: what one of them writes, all of them read. Undefined
 * while the region has no domain of its own.
 */
async function describeDomains(
  reader: Pick<Reader, 'findStoredDomain'>,
  region: string,
): Promise<DescribedDomains | undefined> {
  const regional = await reader.findStoredDomain(region)
  if (regional?.state !== 'ready') return undefined
  return describeBoth(regional, await reader.findStoredDomain(MULTI_REGION_DOMAIN))
}

/** The same from the rows. */
export function describeBoth(regional: Domain, shared: Domain | undefined): DescribedDomains {
  const holders = new Set(shared?.tokens.filter(({ state }) => state === 'enrolled').map(({ serial }) => serial))
  const enrolled = regional.tokens.filter(({ state }) => state === 'enrolled')
  const held = shared?.state === 'ready' && enrolled.every(({ serial }) => holders.has(serial))
  return { domain: describeDomain(regional), multiRegionDomain: held ? describeDomain(shared) : undefined }
}

/** The region whose domain signs what belongs to no region, and whose HBKs are the daemon's own: the first. */
export function homeOf({ regions }: Configuration): string {
  return regions[0]?.name ?? ''
}

/** Starts the pool of one region. Throws {@link NotReady} when the region has no domain yet. */
export async function composePool(
  region: Configuration['regions'][number],
  configuration: Configuration,
  { store, metrics, logger, tracing, siblings }: { store: Store; siblings?: PoolSiblings | undefined } & PoolTelemetry,
): Promise<HsmPool> {
  const domain = await store.reader.findStoredDomain(region.name)
  if (domain?.state !== 'ready') throw new NotReady(`region ${region.name} has no domain: run "strongroom init" first`)
  const { maxCommands, maxWaitMs, healthIntervalMs, deadlineFloorMs, recycleAfterCommands, recycleAfterMb } =
    configuration.hsm
  const limits = { maxCommands, maxWaitMs, healthIntervalMs, deadlineFloorMs, recycleAfterCommands, recycleAfterMb }
  const described = describeBoth(domain, await store.reader.findStoredDomain(MULTI_REGION_DOMAIN))
  const tokens = tokensOf(region, configuration, domain, described)
  if (tokens.length === 0) throw new NotReady(`every configured token of region ${region.name} is retired`)
  const pool: HsmPool = new HsmPool(
    {
      ...{ region: region.name, tokens, resident: described.domain.domainKeys.length === 0, ...limits, siblings },
      async onStaleDomain() {
        const found = await describeDomains(store.reader, region.name)
        if (found !== undefined) void pool.useDomain(found.domain, found.multiRegionDomain).catch(refused)
      },
    },
    { metrics, logger, tracing },
  )
  const refused = (error: Error) =>
    logger.error('hosts keep an old domain', { region: region.name, reason: error.message })
  return pool
}

/** Has a pool work with what the rows of its domains say: the keys, and which of the configured tokens belong to it. */
export async function followDomain(
  pool: HsmPool,
  region: Configuration['regions'][number],
  configuration: Configuration,
  domain: Domain,
  shared: Domain | undefined,
): Promise<void> {
  const described = describeBoth(domain, shared)
  pool.useTokens(tokensOf(region, configuration, domain, described))
  await pool.useDomain(described.domain, described.multiRegionDomain)
}

/** The configured tokens that are not retired. */
function tokensOf(
  region: Configuration['regions'][number],
  { hsm, listen }: Configuration,
  domain: Domain,
  described: DescribedDomains,
): TokenSettings[] {
  const processes = processesWithHosts(listen)
  return region.tokens
    .map((token, index) => tokenSettings(token, index, { ...hsm, processes }, described))
    .filter(({ configuration }) => !isRetired(domain, configuration.token.uri))
}

/** A region with those of its tokens that hold its domain. */
export function withEnrolledTokens(
  region: Configuration['regions'][number],
  domain: Domain,
): Configuration['regions'][number] {
  const enrolled = domain.tokens.filter(({ state }) => state === 'enrolled')
  return { ...region, tokens: region.tokens.filter(({ uri }) => namedBy(uri, enrolled).length > 0) }
}

/** Whether an operator has taken the token out of the domain, and left it in the configuration. */
function isRetired({ tokens }: Domain, uri: string): boolean {
  const named = namedBy(uri, tokens)
  return named.length > 0 && named.every(({ state }) => state === 'retired')
}

type HostSettings = Configuration['hsm'] & { readonly processes: number }

/** How many processes of the daemon have hosts of their own: the service processes, and the first, where there are several. */
function processesWithHosts({ processes }: Configuration['listen']): number {
  const serving = serviceProcessesOf(processes)
  return serving === 1 ? 1 : serving + 1
}

function namedBy(uri: string, tokens: Domain['tokens']): Domain['tokens'][number][] {
  const { token: label, serial } = parsePkcs11Uri(uri)
  return tokens.filter(token => (serial === undefined ? token.label === label : token.serial === serial))
}

/** A host has its share of the token's sessions; one share more is kept for a host that takes another's place. */
function tokenSettings(
  { hosts, threads, ...location }: Configuration['regions'][number]['tokens'][number],
  index: number,
  { processes, ...hsm }: HostSettings,
  domains: DescribedDomains,
): TokenSettings {
  const { cachedHbks, hbkLifetimeMs, importInHost, hostsPerToken, threadsPerHost, sessionsPerToken, allocator } = hsm
  const { token: label, serial } = parsePkcs11Uri(location.uri)
  const hostsHere = hosts ?? hostsPerToken
  const lanes = threads ?? threadsPerHost
  return {
    label: label ?? serial ?? `token-${index + 1}`,
    hosts: hostsHere,
    allocator,
    configuration: {
      ...{ token: location, ...domains, cachedHbks, hbkLifetimeMs, importInHost, threads: lanes },
      sessions: { limit: sessionsPerToken, shares: (hostsHere + 1) * processes },
      logsInAgain: hostsHere === 1 && lanes === 1 && processes === 1,
    },
  }
}
