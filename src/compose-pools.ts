/** From configuration and domain rows to the pools of HSMs: shared by the daemon and by ceremonies. */
import { parsePkcs11Uri } from './base/pkcs11-uri.ts'
import type { Configuration } from './config/schema.ts'
import type { DomainDescription, KeyVersion } from './hsm/contract/host-configuration.ts'
import { HsmPool } from './hsm/pool/pool.ts'
import type { Domain, Store } from './store/store.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** Something that an operator has to do first; the message says what. */
export class NotReady extends Error {
  override readonly name = 'NotReady'
}

/** The domain of a region as a host is told of it. */
export function describeDomain({ id, region, versions }: Domain): DomainDescription {
  const of = (kind: 'dk' | 'mac'): KeyVersion[] =>
    versions
      .filter(version => version.kind === kind)
      .map(({ version, forkId, checkValue }) => ({ version, forkId, checkValue }))
  return { id, region, domainKeys: of('dk'), macKeys: of('mac') }
}

/** Starts the pool of one region. Throws {@link NotReady} when the region has no domain yet. */
export async function composePool(
  region: Configuration['regions'][number],
  configuration: Configuration,
  { store, metrics, logger }: { store: Store; metrics: Metrics; logger: Logger },
): Promise<HsmPool> {
  const domain = await store.reader.findDomain(region.name)
  if (domain?.state !== 'ready') throw new NotReady(`region ${region.name} has no domain: run "strongroom init" first`)
  const { cachedHbks, hbkLifetimeMs, maxCommands, maxWaitMs, healthIntervalMs } = configuration.hsm
  const hosts = region.tokens.map((token, index) => {
    const { token: label, serial } = parsePkcs11Uri(token.uri)
    return {
      label: label ?? serial ?? `token-${index + 1}`,
      configuration: { token, domain: describeDomain(domain), cachedHbks, hbkLifetimeMs },
    }
  })
  const resident = describeDomain(domain).domainKeys.length === 0
  const bounds = { maxCommands, maxWaitMs, healthIntervalMs }
  return new HsmPool({ region: region.name, hosts, resident, ...bounds }, { metrics, logger })
}
