/**
 * The end of a version (security.md 4.1 step 6): once no record, backups included, needs it, its last objects are destroyed in
 * every token. From then on a backup from before the rotation cannot be opened: what was deleted since is erased.
 */
import { dkVersionOf } from '../../formats/ekt.ts'
import type { Domain, EnrolledToken } from '../../store/domain.ts'
import { CommandFailed } from '../admin-client.ts'
import { type CeremonyParts, changeDomain, type RegionConfiguration, requireDomain } from './parts.ts'
import { recordErased } from './record-erased.ts'
import { forksOf, nameOf, OpenTokens, writeVersionOf } from './tokens.ts'

export interface Destruction {
  readonly version: number
  /** Days for which a backup may be needed, counted from the end of the sweep. */
  readonly retentionDays: number
  readonly beforeRetention: boolean
}

const DAY_MS = 86_400_000

/** When a version that was swept may be destroyed. */
export function destroyableAtMs(sweptAtMs: number, retentionDays: number): number {
  return sweptAtMs + retentionDays * DAY_MS
}

/**
 * The row withdraws the version first, so that no host asks for it; then each token that can be reached destroys it. Run again,
 * it reaches the tokens that were absent. Throws {@link CommandFailed}.
 */
export async function destroyVersion(
  parts: CeremonyParts,
  region: RegionConfiguration,
  destruction: Destruction,
): Promise<Domain> {
  const { version } = destruction
  const domain = await requireDomain(parts, region.name)
  const withdrawn = isWithdrawn(domain, version) ? domain : await withdraw(parts, domain, destruction)
  return destroyInTokens(parts, region, withdrawn, version)
}

async function withdraw(
  parts: CeremonyParts,
  domain: Domain,
  { version, retentionDays, beforeRetention }: Destruction,
): Promise<Domain> {
  const { region } = domain
  const known = domain.versions.find(entry => entry.version === version)
  if (known === undefined) throw new CommandFailed(`${region}: the domain has no version ${version}`)
  if (domain.rotation !== undefined)
    throw new CommandFailed(`${region}: a rotation is under way: finish it with "domain rotate" first`)
  if (version === writeVersionOf(domain) || known.sweptAtMs === undefined)
    throw new CommandFailed(`${region}: version ${version} is in use: rotate the domain first`)
  const atMs = destroyableAtMs(known.sweptAtMs, retentionDays)
  if (parts.clock() < atMs && !beforeRetention)
    throw new CommandFailed(
      `${region}: backups may need version ${version} until ${new Date(atMs).toISOString()} (domain.retentionDays is ` +
        `${retentionDays}); --force-before-retention destroys it all the same, and those backups with it`,
    )
  const versions = domain.versions.map(entry =>
    entry.version === version ? { ...entry, state: 'withdrawn' as const } : entry,
  )
  const how = parts.clock() < atMs ? ', before its retention had ended' : ''
  return changeDomain(parts, domain, { versions }, `withdrew version ${version}${how}`, async tx => {
    const left = (await tx.countEkts(region, version)) + (await tx.countRowMacsBelow(region, version + 1))
    if (left > 0)
      throw new CommandFailed(`${region}: ${left} records are under version ${version}: rotate the domain first`)
    // The records of deleted keys are not swept, and only a record that verifies has its object destroyed.
    const doomed = (await tx.listDoomedObjects()).filter(each => each.region === region)
    if (doomed.some(({ ekt }) => dkVersionOf(ekt.record) <= version))
      throw new CommandFailed(
        `${region}: ${doomed.length} objects of deleted keys are still to be destroyed in tokens (strongroom hsm resident-keys)`,
      )
  })
}

async function destroyInTokens(
  parts: CeremonyParts,
  region: RegionConfiguration,
  domain: Domain,
  version: number,
): Promise<Domain> {
  const keys = forksOf(domain, entry => entry.version === version)
  await using open = await OpenTokens.reachable(region.tokens, parts.logger)
  let current = domain
  for (const token of open.opened) {
    const row = current.tokens.find(({ serial }) => serial === token.serial)
    if (row === undefined || !row.versions.includes(version)) continue
    const { destroyed } = await token.ceremony.call('destroyVersions', { domain: keys, objects: 'all' })
    const tokens = current.tokens.map(entry => (entry.serial === token.serial ? without(entry, version) : entry))
    const what = `destroyed version ${version} in token ${nameOf(token)}: ${destroyed} objects`
    current = await changeDomain(parts, current, { tokens }, what)
    parts.say(`${region.name}: ${what}`)
  }
  const holders = current.tokens.filter(({ versions }) => versions.includes(version))
  if (holders.length === 0) {
    parts.say(`${region.name}: no token holds version ${version} any more`)
    const erased = await recordErased(parts, current)
    if (erased > 0) parts.say(`${region.name}: ${erased} deleted keys are erased: no copy gives their material back`)
  }
  for (const token of holders)
    parts.say(`${region.name}: token ${nameOf(token)} was not reached and still holds version ${version}`)
  return current
}

function isWithdrawn({ versions }: Domain, version: number): boolean {
  return versions.some(entry => entry.version === version && entry.state === 'withdrawn')
}

function without(token: EnrolledToken, version: number): EnrolledToken {
  return { ...token, versions: token.versions.filter(held => held !== version) }
}
