/**
 * A token leaves a domain: its keys of the domain are destroyed when it can be reached, and it stays listed with what it still
 * holds when it cannot.
 */
import type { Domain, EnrolledToken } from '../../store/domain.ts'
import { CommandFailed } from '../admin-client.ts'
import { type CeremonyParts, changeDomain, type RegionConfiguration, requireDomain } from './parts.ts'
import { recordErased } from './record-erased.ts'
import { nameOf, OpenTokens, stateOf } from './tokens.ts'

/** The row says `retired` first, so that nobody counts on the token while its keys go. Throws {@link CommandFailed}. */
export async function retireToken(parts: CeremonyParts, region: RegionConfiguration, name: string): Promise<Domain> {
  let domain = await requireDomain(parts, region.name)
  const token = findToken(domain, name)
  if (token.state !== 'retired') {
    const left = domain.tokens.filter(({ state, serial }) => state === 'enrolled' && serial !== token.serial)
    if (left.length === 0)
      throw new CommandFailed(
        `${region.name}: ${nameOf(token)} is the last token of the domain: without it every key of the region is lost`,
      )
    await requireRetiredInRegions(parts, region, token)
    const resident = (await parts.store.reader.countResidentObjects(region.name)).get(token.serial) ?? 0
    if (resident > 0)
      throw new CommandFailed(
        `${region.name}: ${resident} keys reside in ${nameOf(token)} and nowhere else: delete them first, with their data re-encrypted`,
      )
    const retired = { ...token, state: 'retired' as const }
    domain = await changeDomain(parts, domain, { tokens: replace(domain, retired) }, `retired token ${nameOf(token)}`)
    parts.say(`${region.name}: retired token ${nameOf(token)}`)
  }
  await using open = await OpenTokens.reachable(region.tokens, parts.logger)
  const reached = open.opened.find(({ serial }) => serial === token.serial)
  if (reached === undefined) {
    if (token.versions.length > 0)
      parts.say(
        `${region.name}: token ${nameOf(token)} cannot be reached and still holds version ${token.versions.join(', ')}: ` +
          'run this again when it can be, with the token in the configuration, or destroy the device',
      )
    return domain
  }
  const { destroyed } = await reached.ceremony.call('discardDomain', { domainId: domain.id })
  const current = findToken(domain, token.serial)
  if (destroyed === 0 && current.versions.length === 0) {
    parts.say(`${region.name}: token ${nameOf(token)} holds no key of the domain`)
    return domain
  }
  parts.say(
    `${region.name}: destroyed ${destroyed} objects in token ${nameOf(token)}; take it out of the configuration`,
  )
  const emptied = await changeDomain(
    parts,
    domain,
    { tokens: replace(domain, { ...current, versions: [] }) },
    `destroyed the domain's ${destroyed} objects in token ${nameOf(token)}`,
  )
  await recordErased(parts, emptied)
  return emptied
}

/** A region whose tokens do not all hold the shared domain works with no multi-Region key. Throws {@link CommandFailed}. */
async function requireRetiredInRegions(
  { store }: CeremonyParts,
  { name, sharedBy = [] }: RegionConfiguration,
  token: EnrolledToken,
): Promise<void> {
  for (const region of sharedBy) {
    const domain = await store.reader.findDomain(region)
    if (domain === undefined || stateOf(domain, token.serial) !== 'enrolled') continue
    throw new CommandFailed(`${name}: ${nameOf(token)} serves region ${region}: retire it from that region first`)
  }
}

function findToken({ region, tokens }: Domain, name: string): EnrolledToken {
  const [token, ...others] = tokens.filter(({ serial, label }) => serial === name || label === name)
  if (token === undefined) throw new CommandFailed(`${region}: no token of the domain is named ${name}`)
  if (others.length === 0) return token
  throw new CommandFailed(`${region}: ${others.length + 1} tokens are named ${name}: name one by its serial`)
}

function replace({ tokens }: Domain, changed: EnrolledToken): EnrolledToken[] {
  return tokens.map(token => (token.serial === changed.serial ? changed : token))
}
