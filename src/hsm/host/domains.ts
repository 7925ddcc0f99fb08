/**
 * The domains whose keys a host's token holds: its region's and, where regions share one, the multi-Region domain. Which of
 * them an HBK belongs to follows from its key's id, never from what a command says: what an `mrk-` key works with is
 * wrapped by the shared domain at birth, and everything else by the region's, the wrapping keys of its imports included.
 */
import { isMultiRegionKid } from '../../model/key-id.ts'
import { HsmFault, STALE_DOMAIN } from '../contract/fault.ts'
import type { Capabilities } from './capabilities.ts'
import type { SessionHandle } from './cryptoki.ts'
import type { DomainKeys } from './domain-keys.ts'
import { IMPORT_USAGE } from './key-pairs.ts'

export interface HostDomain {
  readonly keys: DomainKeys
  /** What the token does by the domain's schemes. */
  readonly capabilities: Capabilities
}

export class Domains {
  readonly region: HostDomain
  /** Undefined where the host was told of none. */
  readonly multiRegion: HostDomain | undefined

  constructor(region: HostDomain, multiRegion: HostDomain | undefined) {
    this.region = region
    this.multiRegion = multiRegion
  }

  /** The domain of an HBK. Throws HsmFault `token` STALE_DOMAIN when it is one that this host was not told of. */
  of({ kid, keyUsage }: { readonly kid: Buffer; readonly keyUsage: string }): HostDomain {
    if (!isMultiRegionKid(kid) || keyUsage === IMPORT_USAGE) return this.region
    if (this.multiRegion === undefined) throw new HsmFault('token', STALE_DOMAIN)
    return this.multiRegion
  }

  /** What the domain MAC keys answer, one after the other, to be compared later. */
  macCheckValue(session: SessionHandle): string {
    return [this.region, this.multiRegion].map(domain => domain?.keys.macCheckValue(session) ?? '').join(' ')
  }
}
