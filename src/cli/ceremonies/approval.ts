/**
 * What stands in front of every ceremony: under dual control it runs only when enough officers have signed the text that
 * says what it will do. Off, which it is until a threshold is set, everything passes.
 */
import { randomBytes } from 'node:crypto'
import { type Clock, HOUR_MS } from '../../base/clock.ts'
import { type CeremonyAct, isSameAct, isSameCommand, renderApprovalText } from '../../formats/approval-request.ts'
import type { ApprovalRequest, DualControl } from '../../model/dual-control.ts'
import type { Store, Transaction } from '../../store/store.ts'
import { CommandFailed } from '../admin-client.ts'
import { readRequest, validApprovals } from './approvals.ts'
import { instructionsFor, type RequestFolder } from './request-folder.ts'

export interface ApprovalParts {
  readonly store: Store
  readonly clock: Clock
  readonly requests: RequestFolder
}

export interface GuardedAct extends CeremonyAct {
  /**
   * Whether the stored state says that this ceremony has begun and is not done. It then goes on under the request that it
   * was started with, whatever it has changed since and however late it is.
   */
  readonly unfinished?: boolean
  /** Approvals that it takes at least, even where dual control is off. */
  readonly approvals?: number
}

/** How long officers have to sign. */
const VALID_MS = 72 * HOUR_MS
/** Requests that wait at once; more are a mistake or an attack on the officers' patience. */
const WAITING_MAX = 64
/** Requests that are looked at, the newest first. */
const LOOKED_AT_MAX = 1_000

type Decision =
  | { readonly kind: 'off' }
  | { readonly kind: 'approved'; readonly request: ApprovalRequest; readonly officers: readonly string[] }
  | { readonly kind: 'waiting'; readonly request: ApprovalRequest; readonly given: readonly string[] }

/**
 * Runs a ceremony with the names of the officers who approved it: none where dual control is off. The request is used up,
 * in one transaction with the check of its signatures, before `run` begins; it is done once `run` has returned. Until
 * then the same command goes on under it, so `run` must bear being run again, or being run twice at once.
 *
 * Throws {@link CommandFailed} that says what to sign when approvals are missing; the request for them is then stored.
 */
export async function withApproval<T>(
  parts: ApprovalParts,
  act: GuardedAct,
  run: (officers: readonly string[]) => Promise<T>,
): Promise<T> {
  const { store, clock, requests } = parts
  const decision = await store.transaction(tx => decide(tx, act, clock()))
  if (decision.kind === 'off') return run([])
  const { request } = decision
  if (decision.kind === 'waiting') {
    requests.write(request)
    const dualControl = await store.reader.findDualControl()
    throw new CommandFailed(
      instructionsFor(requests, request, decision.given, dualControl, neededFor(act, dualControl)),
    )
  }
  const result = await run(decision.officers)
  await store.transaction(tx => finish(tx, request.id))
  requests.remove(request)
  return result
}

async function decide(tx: Transaction, act: GuardedAct, nowMs: number): Promise<Decision> {
  const dualControl = await tx.findDualControl()
  const needed = neededFor(act, dualControl)
  if (needed === 0) return { kind: 'off' }
  const known = await tx.listApprovalRequests(['open', 'started'], LOOKED_AT_MAX)
  const covering = known.filter(request => covers(request, act, nowMs))
  const counted = covering.map(request => ({ request, approvals: validApprovals(request, dualControl.officers) }))
  const enough = counted.find(({ approvals }) => approvals.length >= needed)
  if (enough !== undefined) {
    const request = await start(tx, enough.request, new Set(enough.approvals.map(({ fingerprint }) => fingerprint)))
    return { kind: 'approved', request, officers: enough.approvals.map(({ officer }) => officer) }
  }
  const [waiting] = counted
  if (waiting !== undefined) {
    const given = waiting.approvals.map(({ officer }) => officer)
    return { kind: 'waiting', request: waiting.request, given }
  }
  if (known.filter(request => isWaiting(request, nowMs)).length >= WAITING_MAX)
    throw new CommandFailed(`${WAITING_MAX} requests wait for approval: cancel some (strongroom ceremony list)`)
  return { kind: 'waiting', request: await insert(tx, act, nowMs), given: [] }
}

function neededFor({ approvals = 0 }: GuardedAct, { threshold }: DualControl): number {
  return Math.max(threshold, approvals)
}

/** Whether a request is for this act and may begin, or has begun with it. */
function covers(request: ApprovalRequest, act: GuardedAct, nowMs: number): boolean {
  const asked = readRequest(request)
  if (asked === undefined) return false
  if (request.state === 'started' && act.unfinished === true) return isSameCommand(asked, act)
  return isSameAct(asked, act) && nowMs < asked.expiresAtMs
}

function isWaiting(request: ApprovalRequest, nowMs: number): boolean {
  return request.state === 'open' && nowMs < (readRequest(request)?.expiresAtMs ?? 0)
}

/** From here on the request is used: a second start of it, by another process, fails in the store. */
async function start(
  tx: Transaction,
  request: ApprovalRequest,
  counted: ReadonlySet<string>,
): Promise<ApprovalRequest> {
  const approvals = request.approvals.map(each => ({ ...each, counted: counted.has(each.fingerprint) }))
  const started = { ...request, state: 'started' as const, generation: request.generation + 1, approvals }
  await tx.updateApprovalRequest(started)
  return started
}

async function finish(tx: Transaction, id: string): Promise<void> {
  const request = await tx.findApprovalRequest(id)
  // Cancelled, or finished by another run of the same ceremony, while this one ran.
  if (request?.state !== 'started') return
  await tx.updateApprovalRequest({ ...request, state: 'done', generation: request.generation + 1 })
}

async function insert(tx: Transaction, { command, args, state }: GuardedAct, nowMs: number): Promise<ApprovalRequest> {
  const id = randomBytes(16).toString('hex')
  const text = renderApprovalText({ id, command, args, state, createdAtMs: nowMs, expiresAtMs: nowMs + VALID_MS })
  const request = { id, text, state: 'open' as const, createdAtMs: nowMs, generation: 1, approvals: [] }
  await tx.insertApprovalRequest(request)
  return request
}
