/** Carrying a domain to another token: every version in use, of the older ones only what opens with them. */
import { MULTI_REGION_DOMAIN } from '../../base/region.ts'
import type { Domain, EnrolledToken } from '../../store/store.ts'
import { CommandFailed } from '../admin-client.ts'
import { enrolledToken } from './create-domain.ts'
import { requireSchemes, requireSealing, UnfitToken } from './domain-schemes.ts'
import { type CeremonyParts, changeDomain, optionFor } from './parts.ts'
import { describeUnserved, unservedKeys } from './served-keys.ts'
import { forksOf, keysIn, nameOf, type OpenedToken, requireSameKeys, stateOf, writeVersionOf } from './tokens.ts'
import { transferKeys } from './transfer.ts'

/** Begins anew what an interrupted enrolment left. Throws {@link CommandFailed} while a rotation is under way. */
export async function enrolToken(
  parts: CeremonyParts,
  domain: Domain,
  source: OpenedToken,
  token: OpenedToken,
): Promise<Domain> {
  const { clock, say, logger } = parts
  const { region } = domain
  if (domain.rotation !== undefined)
    throw new CommandFailed(`${region}: a rotation is under way: finish it with "domain rotate", then enrol the token`)
  await requireSharedDomain(parts, domain, token)
  requireSchemes(domain, source, token)
  requireSealing(domain, token, parts)
  await requireServing(parts, domain, token)
  const others = domain.tokens.filter(({ serial }) => serial !== token.serial)
  const enrolling: EnrolledToken = {
    ...{ serial: token.serial, label: token.label, state: 'enrolling', enrolledAtMs: clock(), versions: [] },
    ...{ auditPublicKey: Buffer.alloc(0), sealed: false },
  }
  const begun = await changeDomain(
    parts,
    domain,
    { tokens: [...others, enrolling] },
    `began to enrol token ${nameOf(token)} from token ${nameOf(source)}`,
  )
  await token.ceremony.call('discardDomain', { domainId: domain.id })
  const keys = forksOf(domain)
  const transfer = await transferKeys(parts, region, { from: source, to: token, keys, witnessed: true })
  const makes = writeVersionOf(domain)
  const received = await token.ceremony.call('importDomain', { domain: keys, makes, transfer })
  requireSameKeys(domain, received, token)
  if (keysIn(received).some(({ checkValue }) => checkValue === null))
    throw new CommandFailed(`token ${nameOf(token)} did not keep what it received`)
  const sealed = domain.sealed && received.sealed === true
  if (domain.sealed && !sealed) logger.warn('token does not seal the domain', { region, hsm: token.label })
  const enrolled = await changeDomain(
    parts,
    begun,
    { sealed, tokens: [...others, enrolledToken(token, received, clock())] },
    sealed || !domain.sealed
      ? `enrolled token ${nameOf(token)}`
      : `enrolled token ${nameOf(token)}, which does not enforce what seals the domain: it is open now`,
  )
  say(`${region}: enrolled token ${nameOf(token)}`)
  return enrolled
}

/**
 * A region works with multi-Region keys when every token of it holds the domain that they are under, so a token of a region
 * that does gets that domain first. Throws {@link CommandFailed}.
 */
async function requireSharedDomain({ store }: CeremonyParts, domain: Domain, token: OpenedToken): Promise<void> {
  if (domain.region === MULTI_REGION_DOMAIN) return
  const shared = await store.reader.findDomain(MULTI_REGION_DOMAIN)
  const holds = ({ serial }: Pick<EnrolledToken, 'serial'>) => shared && stateOf(shared, serial) === 'enrolled'
  const sharing = domain.tokens.filter(({ state }) => state === 'enrolled')
  if (shared?.state !== 'ready' || !sharing.every(holds) || holds(token)) return
  throw new CommandFailed(
    `${domain.region}: token ${nameOf(token)} does not hold the multi-Region domain, which the others of the region do: ` +
      `run "strongroom domain enrol ${optionFor(MULTI_REGION_DOMAIN)} --token ${token.serial}" first`,
  )
}

/** A member serves what there is. Throws {@link UnfitToken}. */
async function requireServing(parts: CeremonyParts, domain: Domain, token: OpenedToken): Promise<void> {
  const unserved = await unservedKeys(parts, domain, token)
  if (unserved.size === 0) return
  throw new UnfitToken(
    `${domain.region}: token ${nameOf(token)} cannot open ${describeUnserved(unserved, token)}, which the domain has: ` +
      'enrol a token that can, or delete those keys first',
  )
}
