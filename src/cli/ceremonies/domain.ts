/**
 * The domain of a region and the tokens that hold it. Each step looks first at what is there: a second run changes nothing,
 * and an interrupted one is taken up again.
 */
import type { Domain } from '../../store/domain.ts'
import { CommandFailed } from '../admin-client.ts'
import { createDomain } from './create-domain.ts'
import { schemesFor } from './domain-schemes.ts'
import { enrolToken } from './enrol-token.ts'
import { type CeremonyParts, type RegionConfiguration, requireDomain } from './parts.ts'
import { neverEnrolled } from './receiving-tokens.ts'
import { nameOf, type OpenedToken, OpenTokens, requireHeld, stateOf } from './tokens.ts'

/**
 * Makes sure that every configured token of a region holds its domain, but for those that an operator retired. Throws HsmFault
 * and {@link CommandFailed}.
 */
export async function ensureDomain(parts: CeremonyParts, region: RegionConfiguration): Promise<Domain> {
  await using tokens = await OpenTokens.all(region.tokens, parts.logger)
  const known = await parts.store.reader.findDomain(region.name)
  const source = known?.state === 'ready' ? await findSource(known, tokens) : tokens.opened[0]
  if (source === undefined)
    throw new CommandFailed(`no configured token of ${region.name} holds its domain ${known?.id ?? ''}`)
  let domain =
    known?.state === 'ready'
      ? known
      : await createDomain(parts, region.name, known, source, schemesFor(region.name, tokens.opened))
  for (const token of tokens.opened) {
    const state = stateOf(domain, token.serial)
    if (state === 'retired') parts.say(`${region.name}: token ${nameOf(token)} is retired, and stays so`)
    else if (state !== 'enrolled') domain = await enrolToken(parts, domain, source, token)
  }
  return domain
}

/** `domain create`: the domain in the first configured token, and nothing else. */
export async function ensureCreated(parts: CeremonyParts, region: RegionConfiguration): Promise<Domain> {
  const known = await parts.store.reader.findDomain(region.name)
  if (known?.state === 'ready') {
    parts.say(`${region.name}: domain ${known.id} is there already`)
    return known
  }
  // Each of them has its say in how the region's keys are wrapped.
  await using tokens = await OpenTokens.all(region.tokens, parts.logger)
  const [first] = tokens.opened
  if (first === undefined) throw new CommandFailed(`region ${region.name} has no token`)
  return await createDomain(parts, region.name, known, first, schemesFor(region.name, tokens.opened))
}

/** `domain enrol`: the named token, retired or not, or every configured one that was never enrolled. */
export async function enrolTokens(
  parts: CeremonyParts,
  region: RegionConfiguration,
  name: string | undefined,
): Promise<Domain> {
  let domain = await requireDomain(parts, region.name)
  await using tokens = await OpenTokens.reachable(region.tokens, parts.logger)
  const ofName = ({ serial, label }: OpenedToken) => serial === name || label === name
  const candidates = name === undefined ? neverEnrolled(domain, tokens.opened) : tokens.opened.filter(ofName)
  const missing = tokens.unreachable.filter(({ label }) => name === undefined || label === name)
  for (const { label, reason } of missing) parts.say(`${region.name}: token "${label}" cannot be reached: ${reason}`)
  if (name !== undefined && candidates.length !== 1)
    throw new CommandFailed(`${candidates.length} reachable tokens of ${region.name} are named ${name}`)
  const source = await findSource(domain, tokens)
  if (source === undefined)
    throw new CommandFailed(`no reachable token of ${region.name} holds its domain ${domain.id}`)
  for (const token of candidates) {
    if (stateOf(domain, token.serial) === 'enrolled') parts.say(`${region.name}: token ${nameOf(token)} is enrolled`)
    else domain = await enrolToken(parts, domain, source, token)
  }
  if (candidates.length === 0) parts.say(`${region.name}: no reachable token is left to enrol`)
  return domain
}

/** A token that is enrolled and proves that it holds the domain's keys. */
async function findSource(domain: Domain, tokens: OpenTokens): Promise<OpenedToken | undefined> {
  const enrolled = tokens.enrolledIn(domain)
  for (const token of enrolled) await requireHeld(domain, token)
  return enrolled[0]
}
