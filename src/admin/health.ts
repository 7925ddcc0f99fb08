/**
 * Whether the daemon lives, and whether it can serve: every region has a token that can, events can be recorded, and the key
 * store is known to be the present one.
 */
import type { MemberStatus } from '../hsm/pool/member.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'

interface Region<Hsm> {
  readonly region: string
  readonly ready: boolean
  readonly hsms: readonly Hsm[]
}

/** Whether events can be recorded: without that, nothing is done. */
export interface AuditReadiness {
  readonly writable: boolean
  readonly reason?: string
}

export interface Readiness {
  readonly ready: boolean
  /** What else than tokens is in the way; absent when nothing is. */
  readonly obstacles?: readonly string[]
  readonly audit: AuditReadiness
  readonly regions: readonly Region<{ readonly hsm: string; readonly state: string }>[]
}

/** The same with all that an operator asks for. */
export interface HsmStatus {
  readonly ready: boolean
  readonly regions: readonly Region<MemberStatus>[]
}

export function statusOf(pools: Iterable<HsmPool>): HsmStatus {
  const regions = [...pools].map(pool => ({ region: pool.region, ready: pool.ready, hsms: pool.status() }))
  return { ready: regions.every(({ ready }) => ready), regions }
}

export function readinessOf(
  pools: Iterable<HsmPool>,
  { failure }: { readonly failure: { readonly reason: string } | undefined },
  obstacles: readonly string[] = [],
): Readiness {
  const { ready, regions } = statusOf(pools)
  return {
    ready: ready && failure === undefined && obstacles.length === 0,
    ...(obstacles.length === 0 ? {} : { obstacles }),
    audit: failure === undefined ? { writable: true } : { writable: false, reason: failure.reason },
    regions: regions.map(({ hsms, ...region }) => ({
      ...region,
      hsms: hsms.map(({ hsm, state }) => ({ hsm, state })),
    })),
  }
}
