/**
 * Whether the daemon lives, and whether it can serve: every region has a token that can, events can be recorded, and the key
 * store is known to be the present one.
 */
import type { TokenState } from '../hsm/pool/circuit.ts'
import type { MemberStatus } from '../hsm/pool/member.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'

interface Region<Hsm> {
  readonly region: string
  readonly ready: boolean
  readonly hsms: readonly Hsm[]
}

/** Whether events can be recorded, without which nothing is done; and the key store changed, without which the rest goes on. */
export interface WriteReadiness {
  readonly writable: boolean
  readonly reason?: string
}

export interface Readiness {
  readonly ready: boolean
  /** What else than tokens is in the way; absent when nothing is. */
  readonly obstacles?: readonly string[]
  readonly audit: WriteReadiness
  readonly store: WriteReadiness
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

/** From the best state of a token to the worst. */
const STATES: readonly TokenState[] = ['healthy', 'degraded', 'probing', 'starting', 'open', 'locked-out']

/** What several processes see of the same tokens: of each the worst state, and what there is of it in all of them. */
export function mergeStatuses(statuses: readonly HsmStatus[]): HsmStatus {
  const regions = (statuses[0]?.regions ?? []).map(({ region }) => {
    const seen = statuses.flatMap(status => status.regions.filter(each => each.region === region))
    const hsms = seen[0]?.hsms.map(({ hsm }) =>
      mergeMembers(seen.flatMap(each => each.hsms.filter(of => of.hsm === hsm))),
    )
    return { region, ready: seen.every(({ ready }) => ready), hsms: hsms ?? [] }
  })
  return { ready: statuses.every(({ ready }) => ready), regions }
}

function mergeMembers(members: readonly MemberStatus[]): MemberStatus {
  const [worst] = members.toSorted((a, b) => STATES.indexOf(b.state) - STATES.indexOf(a.state))
  const sum = (of: 'hosts' | 'lanes' | 'sessions' | 'inFlight' | 'restarts') =>
    members.reduce((total, member) => total + member[of], 0)
  const slowest = (of: 'p50Ms' | 'p99Ms') => {
    const known = members.flatMap(member => member[of] ?? [])
    return known.length === 0 ? null : Math.max(...known)
  }
  return {
    ...worst!,
    ...{ hosts: sum('hosts'), lanes: sum('lanes'), sessions: sum('sessions'), inFlight: sum('inFlight') },
    ...{ p50Ms: slowest('p50Ms'), p99Ms: slowest('p99Ms'), restarts: sum('restarts') },
  }
}

export interface ReadinessFacts {
  readonly audit: { readonly failure: { readonly reason: string } | undefined }
  readonly store: { readonly unwritable: string | undefined }
  /** What is in the way of serving, besides tokens and audit log. */
  readonly obstacles: readonly string[]
}

export function readinessOf(
  pools: Iterable<HsmPool>,
  { audit: { failure }, store, obstacles }: ReadinessFacts,
): Readiness {
  const { ready, regions } = statusOf(pools)
  return {
    ready: ready && failure === undefined && obstacles.length === 0,
    ...(obstacles.length === 0 ? {} : { obstacles }),
    audit: writeReadiness(failure?.reason),
    store: writeReadiness(store.unwritable),
    regions: regions.map(({ hsms, ...region }) => ({
      ...region,
      hsms: hsms.map(({ hsm, state }) => ({ hsm, state })),
    })),
  }
}

function writeReadiness(reason: string | undefined): WriteReadiness {
  return reason === undefined ? { writable: true } : { writable: false, reason }
}
