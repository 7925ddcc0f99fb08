/** Carrying a domain to another token: every version in use, of the older ones only what opens with them. */
import type { Domain, EnrolledToken } from '../../store/store.ts'
import { CommandFailed } from '../admin-client.ts'
import { enrolledToken } from './create-domain.ts'
import { requireSchemes, requireSealing } from './domain-schemes.ts'
import { type CeremonyParts, changeDomain } from './parts.ts'
import { forksOf, keysIn, nameOf, type OpenedToken, requireSameKeys, writeVersionOf } from './tokens.ts'
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
  requireSchemes(domain, source, token)
  requireSealing(domain, token, parts)
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
