/**
 * What the tokens of one domain must have in common: the schemes that each writes by and every other reads, and what keeps
 * the domain's keys from a PIN holder.
 */
import { MULTI_REGION_DOMAIN } from '../../base/region.ts'
import type { CeremonyResult } from '../../hsm/contract/ceremony.ts'
import { commonSchemes, describeSchemes, type Schemes, seals } from '../../hsm/contract/token-profile.ts'
import type { Domain } from '../../store/domain.ts'
import { CommandFailed } from '../admin-client.ts'

type Profile = CeremonyResult<'open'>

/** A token that cannot hold a domain with the others. */
export class UnfitToken extends CommandFailed {}

/** The best schemes that all tokens of a region share. Throws {@link UnfitToken} that says what each offers. */
export function schemesFor(region: string, tokens: readonly Profile[]): Schemes {
  // What resides in one token is in no other region.
  const offered =
    region === MULTI_REGION_DOMAIN
      ? tokens.map(({ wrapSchemes, kdfs }) => ({ kdfs, wrapSchemes: wrapSchemes.filter(name => name !== 'resident') }))
      : tokens
  const schemes = commonSchemes(offered)
  if (schemes !== undefined) return schemes
  const offers = tokens.map(offerOf).join('; ')
  throw new UnfitToken(
    tokens.length === 1
      ? `${region}: ${offers}: that serves no key`
      : `${region}: such tokens cannot share a region, since none reads what another writes: ${offers}`,
  )
}

/** A token reads and writes what the others of its domain do, or it is not enrolled. Throws {@link UnfitToken}. */
export function requireSchemes({ region, schemes }: Domain, source: Profile, token: Profile): void {
  if (token.wrapSchemes.includes(schemes.wrapScheme) && token.kdfs.includes(schemes.kdf)) return
  throw new UnfitToken(
    `${region}: such tokens cannot share a region: its domain writes by ${schemes.wrapScheme}; ${schemes.kdf}; ` +
      `${offerOf(source)}; ${offerOf(token)}`,
  )
}

/** Before any key moves: what a token cannot keep is not given to it unasked. Throws {@link UnfitToken}. */
export function requireSealing(
  { region, sealed }: Domain,
  token: Profile,
  { allowOpenToken = false, say }: { readonly allowOpenToken?: boolean; readonly say: (line: string) => void },
): void {
  if (!sealed || seals(token)) return
  const what = `${region}: token "${token.label}" does not enforce what seals the domain: whoever has its PIN could read keys`
  if (!allowOpenToken) throw new UnfitToken(`${what}. --allow-open-token enrols it and leaves the domain open`)
  say(what)
}

function offerOf(token: Profile): string {
  return `token "${token.label}" (${token.vendor}) offers ${describeSchemes(token)}`
}
