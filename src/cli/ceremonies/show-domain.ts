/** What a domain is and who holds what of it: the row, and each token's own word. Changes nothing and needs no SO. */
import { HsmFault } from '../../hsm/contract/fault.ts'
import type { Ceremony } from '../../hsm/pool/ceremony.ts'
import type { Domain, DomainKeyVersion } from '../../store/domain.ts'
import { destroyableAtMs } from './destroy-version.ts'
import { type CeremonyParts, type RegionConfiguration, requireDomain } from './parts.ts'
import { forksOf, keysIn, type OpenedToken, OpenTokens, writeVersionOf } from './tokens.ts'

export interface ShownKey {
  readonly key: string
  /** `makes and uses`, `uses` or `none`. */
  readonly holds: string
  /** As the token worked it out; null without the object that makes. */
  readonly checkValue: string | null
  /** Null when there is nothing to compare. */
  readonly matches: boolean | null
}

export interface ShownToken {
  readonly label: string
  readonly serial: string
  readonly state: string
  /** Why it could not be asked; null when it was. */
  readonly unreachable: string | null
  /** The versions that it is known to hold. */
  readonly versions: readonly number[]
  readonly keys: readonly ShownKey[]
}

export interface ShownDomain {
  readonly region: string
  readonly id: string
  readonly sealed: boolean
  readonly writeVersion: number
  readonly rotation: {
    readonly to: number
    readonly step: string
    readonly since: string
    readonly left: number
  } | null
  readonly versions: readonly {
    readonly key: string
    readonly state: string
    readonly checkValue: string
    /** Records under it; of a domain key. */
    readonly records: number | null
    readonly sweptAt: string | null
    readonly destroyableFrom: string | null
  }[]
  readonly tokens: readonly ShownToken[]
}

export async function showDomain(
  parts: CeremonyParts,
  region: RegionConfiguration,
  retentionDays: number,
): Promise<ShownDomain> {
  const domain = await requireDomain(parts, region.name)
  await using open = await OpenTokens.reachable(region.tokens, parts.logger)
  const { reader } = parts.store
  const recordsOf = async ({ kind, version }: DomainKeyVersion) =>
    kind === 'dk' ? reader.countEkts(region.name, version) : null
  const versions: ShownDomain['versions'][number][] = []
  for (const version of domain.versions) {
    const { sweptAtMs, state, checkValue } = version
    versions.push({
      ...{ key: `${version.kind}.${version.version}`, state, checkValue, records: await recordsOf(version) },
      sweptAt: sweptAtMs === undefined ? null : moment(sweptAtMs),
      destroyableFrom: sweptAtMs === undefined ? null : moment(destroyableAtMs(sweptAtMs, retentionDays)),
    })
  }
  const tokens: ShownToken[] = []
  for (const token of domain.tokens) {
    const { label, serial, state } = token
    const opened = open.opened.find(each => each.serial === serial)
    const reason = open.unreachable.find(each => each.label === label || each.label === serial)?.reason
    tokens.push({
      ...{ label, serial, state, versions: token.versions },
      unreachable: opened === undefined ? (reason ?? 'not in the configuration') : null,
      keys: opened === undefined ? [] : await keysOf(domain, opened),
    })
  }
  for (const { label, serial, ceremony } of open.opened) {
    if (domain.tokens.some(token => token.serial === serial)) continue
    const versionsHeld = await leftoversIn(domain, ceremony)
    tokens.push({ label, serial, state: 'not enrolled', unreachable: null, versions: versionsHeld, keys: [] })
  }
  const { rotation } = domain
  const left = rotation === undefined ? 0 : await reader.countEkts(region.name, rotation.to - 1)
  return {
    ...{ region: domain.region, id: domain.id, sealed: domain.sealed, writeVersion: writeVersionOf(domain) },
    rotation:
      rotation === undefined
        ? null
        : { to: rotation.to, step: rotation.step, since: moment(rotation.startedAtMs), left },
    versions,
    tokens,
  }
}

/** Versions of which a token that is not enrolled holds something: what an interrupted enrolment left. */
async function leftoversIn(domain: Domain, ceremony: Ceremony): Promise<number[]> {
  try {
    const { macKeys } = await ceremony.call(
      'describeDomain',
      forksOf(domain, () => true),
    )
    return macKeys.filter(({ makes, uses }) => makes || uses).map(({ version }) => version)
  } catch (error) {
    // A token that lacks what the domain uses holds none of it.
    if (error instanceof HsmFault) return []
    throw error
  }
}

async function keysOf(domain: Domain, token: OpenedToken): Promise<ShownKey[]> {
  const held = await token.ceremony.call(
    'describeDomain',
    forksOf(domain, () => true),
  )
  return keysIn(held).map(({ kind, version, makes, uses, checkValue }) => {
    const expected = domain.versions.find(each => each.kind === kind && each.version === version)
    return {
      key: `${kind}.${version}`,
      holds: [makes ? 'makes' : '', uses ? 'uses' : ''].filter(Boolean).join(' and ') || 'none',
      checkValue,
      matches: checkValue === null ? null : checkValue === expected?.checkValue,
    }
  })
}

function moment(ms: number): string {
  return new Date(ms).toISOString()
}
