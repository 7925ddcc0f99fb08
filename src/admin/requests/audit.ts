/** Requests about the audit log. */
import { z } from 'zod'
import type { RecordedEvent } from '../../audit/event-query.ts'
import { findEvents } from '../../audit/query.ts'
import type { StoredAudit } from '../../store/stored-audit.ts'
import { look } from './request.ts'

const EVENTS_MAX = 1_000
const text = z.string().min(1).max(2_048).optional()
const ms = z.int().min(0).optional()

/** `settle` has what is written already put where it is looked for. */
export function auditRequests(audit: { readonly stored: StoredAudit; settle(): Promise<void> }) {
  const shape = z.strictObject({
    ...{ fromMs: ms, toMs: ms, principal: text, key: text, operation: text, outcome: text },
    limit: z.int().min(1).max(EVENTS_MAX),
  })
  return {
    'audit/query': look(shape, async ({ limit, ...query }) => {
      await audit.settle()
      const found: RecordedEvent[] = []
      for await (const { event } of findEvents(audit.stored.blocksBackwards(query), query, { atMost: limit })) {
        found.push(event)
        if (found.length >= limit) break
      }
      return found
    }),
  }
}
