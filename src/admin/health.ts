/** Whether the daemon lives, and whether it can serve: every region has a token that can. */
import type { HsmPool } from '../hsm/pool/pool.ts'

export interface Readiness {
  readonly ready: boolean
  readonly regions: readonly {
    readonly region: string
    readonly ready: boolean
    readonly hsms: readonly { readonly hsm: string; readonly state: string }[]
  }[]
}

export function readinessOf(pools: Iterable<HsmPool>): Readiness {
  const regions = [...pools].map(pool => ({
    region: pool.region,
    ready: pool.ready,
    hsms: pool.members.map(({ label, state }) => ({ hsm: label, state })),
  }))
  return { ready: regions.every(({ ready }) => ready), regions }
}
