/**
 * The tokens that a ceremony is about to bring a domain to. Officers approve tokens by their serials: what the configuration
 * names when the ceremony runs may be something else than what it named when they were asked.
 */
import type { Domain } from '../../store/domain.ts'
import type { CeremonyParts, RegionConfiguration } from './parts.ts'
import { nameOf, type OpenedToken, OpenTokens, stateOf } from './tokens.ts'

/** How a ceremony finds them among the tokens that can be opened; `known` is the domain as it is stored. */
export type ReceivingTokens = (known: Domain | undefined, opened: readonly OpenedToken[]) => readonly OpenedToken[]

/** Every one that was never enrolled, or not to the end; retired ones stay retired. */
export const neverEnrolled: ReceivingTokens = (known, opened) =>
  opened.filter(({ serial }) => {
    const state = known?.state === 'ready' ? stateOf(known, serial) : undefined
    return state === undefined || state === 'enrolling'
  })

/** The one that a new domain is made in. */
export const firstWhenNone: ReceivingTokens = (known, opened) => (known?.state === 'ready' ? [] : opened.slice(0, 1))

/** The one that is named, retired or not, by serial or label. */
export function named(name: string): ReceivingTokens {
  return (known, opened) =>
    opened.filter(({ serial, label }) => {
      const enrolled = known !== undefined && stateOf(known, serial) === 'enrolled'
      return (serial === name || label === name) && !enrolled
    })
}

/**
 * Lines of an approval request, by region and token; none when no token would receive anything. Throws HsmFault when one
 * cannot be opened: a PIN that was refused here is not tried again by the ceremony itself.
 */
export async function describeReceiving(
  { store, logger }: Pick<CeremonyParts, 'store' | 'logger'>,
  regions: readonly RegionConfiguration[],
  receiving: ReceivingTokens,
): Promise<Record<string, string>> {
  const lines: Record<string, string> = {}
  for (const { name, tokens } of regions) {
    await using open = await OpenTokens.all(tokens, logger)
    const known = await store.reader.findDomain(name)
    receiving(known, open.opened).forEach((token, at) => {
      lines[`token ${at + 1} of ${name}`] = nameOf(token)
    })
  }
  return lines
}
