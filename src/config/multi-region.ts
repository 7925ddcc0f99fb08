/** The domain that regions share, as the configuration has it: whether there is one, and its tokens. */
import { MULTI_REGION_DOMAIN } from '../base/region.ts'
import type { Configuration } from './schema.ts'

export interface SharedDomain {
  readonly name: typeof MULTI_REGION_DOMAIN
  /** Every token of every region, each once. */
  readonly tokens: Configuration['regions'][number]['tokens']
  /** The regions that share it. */
  readonly sharedBy: readonly string[]
  /** Whether it must be; otherwise regions whose tokens have too little in common go without. */
  readonly required: boolean
}

/** Undefined where multi-Region keys are not wanted. */
export function sharedDomainOf({ regions, domain }: Configuration): SharedDomain | undefined {
  const { multiRegion } = domain
  if (multiRegion === 'never' || (multiRegion === 'auto' && regions.length === 1)) return undefined
  const tokens = new Map(regions.flatMap(region => region.tokens.map(token => [token.uri, token] as const)))
  return {
    name: MULTI_REGION_DOMAIN,
    tokens: [...tokens.values()],
    sharedBy: regions.map(({ name }) => name),
    required: multiRegion === 'always',
  }
}
