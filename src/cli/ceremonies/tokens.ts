/** The configured tokens of a region, each opened in a ceremony process of its own, and what the domain row says of them. */
import { parsePkcs11Uri } from '../../base/pkcs11-uri.ts'
import { MULTI_REGION_DOMAIN } from '../../base/region.ts'
import type { CeremonyResult, DomainForks, DomainInToken, KeyInToken } from '../../hsm/contract/ceremony.ts'
import { HsmFault } from '../../hsm/contract/fault.ts'
import type { TokenLocation } from '../../hsm/contract/host-configuration.ts'
import { Ceremony } from '../../hsm/pool/ceremony.ts'
import type { Domain, DomainKeyVersion, EnrolledToken } from '../../store/domain.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { CommandFailed } from '../admin-client.ts'

export interface OpenedToken extends CeremonyResult<'open'> {
  readonly location: TokenLocation
  readonly ceremony: Ceremony
}

/** A configured token that could not be opened. */
export interface UnreachableToken {
  /** As the configuration names it. */
  readonly label: string
  readonly reason: string
}

/** Opens tokens; disposing ends their processes. */
export class OpenTokens implements AsyncDisposable {
  readonly opened: readonly OpenedToken[]
  readonly unreachable: readonly UnreachableToken[]
  readonly #processes: AsyncDisposableStack

  private constructor(
    opened: readonly OpenedToken[],
    unreachable: readonly UnreachableToken[],
    processes: AsyncDisposableStack,
  ) {
    this.opened = opened
    this.unreachable = unreachable
    this.#processes = processes
  }

  /** Throws HsmFault when one cannot be opened, {@link CommandFailed} when two are one. */
  static async all(locations: readonly TokenLocation[], logger: Logger): Promise<OpenTokens> {
    await using processes = new AsyncDisposableStack()
    const opened = await Promise.all(locations.map(location => openToken(location, processes, logger)))
    requireDistinct(opened)
    return new OpenTokens(opened, [], processes.move())
  }

  /** Those that can be opened. Throws {@link CommandFailed} when two are one. */
  static async reachable(locations: readonly TokenLocation[], logger: Logger): Promise<OpenTokens> {
    await using processes = new AsyncDisposableStack()
    const outcomes = await Promise.allSettled(locations.map(location => openToken(location, processes, logger)))
    const opened = outcomes.flatMap(outcome => (outcome.status === 'fulfilled' ? outcome.value : []))
    const unreachable = outcomes.flatMap((outcome, at) => {
      if (outcome.status === 'fulfilled') return []
      if (!(outcome.reason instanceof HsmFault)) throw outcome.reason
      return { label: configuredName(locations[at]), reason: outcome.reason.reason }
    })
    requireDistinct(opened)
    return new OpenTokens(opened, unreachable, processes.move())
  }

  /** The opened ones that the domain counts among its own. */
  enrolledIn(domain: Domain): OpenedToken[] {
    return this.opened.filter(({ serial }) => stateOf(domain, serial) === 'enrolled')
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#processes.disposeAsync()
  }
}

export async function openToken(
  location: TokenLocation,
  processes: AsyncDisposableStack,
  logger: Logger,
): Promise<OpenedToken> {
  const ceremony = processes.use(new Ceremony(line => logger.warn('output of a ceremony', { line })))
  return { location, ceremony, ...(await ceremony.call('open', { location })) }
}

export function stateOf(domain: Domain, serial: string): EnrolledToken['state'] | undefined {
  return domain.tokens.find(token => token.serial === serial)?.state
}

/** For messages: the label that people gave a token, and the serial that tells two of one label apart. */
export function nameOf({ label, serial }: Pick<EnrolledToken, 'label' | 'serial'>): string {
  return `"${label}" (${serial})`
}

/** Versions of a domain's keys as a ceremony process is asked about them. */
export function forksOf(domain: Domain, which: (version: DomainKeyVersion) => boolean = isActive): DomainForks {
  const of = (kind: DomainKeyVersion['kind']) =>
    domain.versions
      .filter(version => version.kind === kind && which(version))
      .map(({ version, forkId }) => ({ version, forkId }))
  const audited = domain.region !== MULTI_REGION_DOMAIN
  return { domainId: domain.id, schemes: domain.schemes, audited, domainKeys: of('dk'), macKeys: of('mac') }
}

function isActive({ state }: DomainKeyVersion): boolean {
  return state === 'active'
}

/** The version that hosts write under. */
export function writeVersionOf({ versions }: Domain): number {
  return Math.max(...versions.filter(isActive).map(({ version }) => version))
}

export function keysIn({ domainKeys, macKeys }: DomainInToken): (KeyInToken & { kind: DomainKeyVersion['kind'] })[] {
  return [
    ...domainKeys.map(key => ({ kind: 'dk' as const, ...key })),
    ...macKeys.map(key => ({ kind: 'mac' as const, ...key })),
  ]
}

/**
 * Throws {@link CommandFailed} unless the token holds every version that is in use, the newest one to make with and with the
 * domain's check value.
 */
export async function requireHeld(domain: Domain, token: OpenedToken): Promise<void> {
  const held = await token.ceremony.call('describeDomain', forksOf(domain))
  const newest = writeVersionOf(domain)
  const lost = keysIn(held).some(({ version, makes, uses }) => !uses || (version === newest && !makes))
  if (lost) throw new CommandFailed(`token ${nameOf(token)} has lost the keys of domain ${domain.id}`)
  requireSameKeys(domain, held, token)
}

/** Throws {@link CommandFailed} unless the token can open what any version that is in use has closed. */
export async function requireOpening(domain: Domain, token: OpenedToken): Promise<void> {
  const held = keysIn(await token.ceremony.call('describeDomain', forksOf(domain)))
  const lost = held.filter(({ uses }) => !uses).map(({ kind, version }) => `${kind}.${version}`)
  if (lost.length === 0) return
  throw new CommandFailed(
    `${domain.region}: token ${nameOf(token)} does not hold ${lost.join(' and ')}: nobody can open what is under a version that was destroyed`,
  )
}

/** Compares the check values that the token could read with the domain's. */
export function requireSameKeys(domain: Domain, held: DomainInToken, token: OpenedToken): void {
  for (const { kind, version, checkValue } of keysIn(held)) {
    if (checkValue === null) continue
    const expected = domain.versions.find(known => known.kind === kind && known.version === version)
    if (expected?.checkValue === checkValue) continue
    throw new CommandFailed(
      `token ${nameOf(token)}: ${kind}.${version} has check value ${checkValue}, the domain's is ${expected?.checkValue}`,
    )
  }
}

/** How the configuration names a token. */
function configuredName(location: TokenLocation | undefined): string {
  const { token, serial, slotId } = parsePkcs11Uri(location?.uri ?? '')
  return token ?? serial ?? `slot ${slotId}`
}

function requireDistinct(tokens: readonly OpenedToken[]): void {
  const serials = tokens.map(({ serial }) => serial)
  const twice = tokens.find(({ serial }, at) => serials.indexOf(serial) !== at)
  if (twice === undefined) return
  const labels = new Set(tokens.filter(({ serial }) => serial === twice.serial).map(({ label }) => label))
  throw new CommandFailed(
    labels.size > 1
      ? `tokens ${[...labels].map(label => `"${label}"`).join(' and ')} have one serial number (${twice.serial}): a region takes one of them`
      : `token ${nameOf(twice)} is configured twice`,
  )
}
