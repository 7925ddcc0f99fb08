/** Requests for approval, with the approvals that officers gave. */
import type { Selectable } from 'kysely'
import type { Approval, ApprovalRequest } from '../../model/dual-control.ts'
import { requireInserted, requireUpdated } from './outcomes.ts'
import type { Handle, Tables } from './tables.ts'

export async function findApprovalRequest(db: Handle, id: string): Promise<ApprovalRequest | undefined> {
  const row = await db.selectFrom('approval_requests').selectAll().where('id', '=', id).executeTakeFirst()
  return row === undefined ? undefined : (await withApprovals(db, [row]))[0]
}

/** The newest first; of these states only. */
export async function listApprovalRequests(
  db: Handle,
  states: readonly ApprovalRequest['state'][],
  limit: number,
): Promise<ApprovalRequest[]> {
  const rows = await db
    .selectFrom('approval_requests')
    .selectAll()
    .where('state', 'in', states)
    .orderBy('created_at_ms', 'desc')
    .orderBy('id')
    .limit(limit)
    .execute()
  return withApprovals(db, rows)
}

export async function insertApprovalRequest(db: Handle, request: ApprovalRequest): Promise<void> {
  const { id, text, state, createdAtMs, generation } = request
  const inserted = await db
    .insertInto('approval_requests')
    .values({ id, text, state, created_at_ms: createdAtMs, generation })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `approval request ${id}`)
}

/** Writes the state and which approvals counted; `generation` must be one above the stored one. */
export async function updateApprovalRequest(db: Handle, request: ApprovalRequest): Promise<void> {
  const { id, state, generation, approvals } = request
  const updated = await db
    .updateTable('approval_requests')
    .set({ state, generation })
    .where('id', '=', id)
    .where('generation', '=', generation - 1)
    .executeTakeFirstOrThrow()
  requireUpdated(updated, `approval request ${id}`)
  const counted = approvals.filter(approval => approval.counted).map(({ fingerprint }) => fingerprint)
  if (counted.length === 0) return
  await db
    .updateTable('approvals')
    .set({ counted: 1 })
    .where('request_id', '=', id)
    .where('fingerprint', 'in', counted)
    .execute()
}

/** One for each key. Throws AlreadyStored. */
export async function insertApproval(db: Handle, requestId: string, approval: Approval): Promise<void> {
  const { officer, fingerprint, signature, approvedAtMs, counted } = approval
  const inserted = await db
    .insertInto('approvals')
    .values({
      ...{ request_id: requestId, officer, fingerprint, signature },
      ...{ approved_at_ms: approvedAtMs, counted: counted ? 1 : 0 },
    })
    .onConflict(conflict => conflict.doNothing())
    .executeTakeFirstOrThrow()
  requireInserted(inserted, `the approval of ${officer}`)
}

async function withApprovals(
  db: Handle,
  requests: readonly Selectable<Tables['approval_requests']>[],
): Promise<ApprovalRequest[]> {
  if (requests.length === 0) return []
  const ids = requests.map(({ id }) => id)
  const rows = await db
    .selectFrom('approvals')
    .selectAll()
    .where('request_id', 'in', ids)
    .orderBy('approved_at_ms')
    .orderBy('fingerprint')
    .execute()
  const byRequest = Map.groupBy(rows, row => row.request_id)
  return requests.map(({ id, text, state, created_at_ms: createdAtMs, generation }) => {
    const approvals = (byRequest.get(id) ?? []).map(approvalOf)
    return { id, text, state, createdAtMs, generation, approvals }
  })
}

function approvalOf({ officer, fingerprint, signature, ...row }: Selectable<Tables['approvals']>): Approval {
  return { officer, fingerprint, signature, approvedAtMs: row.approved_at_ms, counted: row.counted === 1 }
}
