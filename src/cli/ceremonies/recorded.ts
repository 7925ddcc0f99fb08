/**
 * A step of a ceremony is written down twice, in one transaction: for `domain history`, and as an event for the audit log, which
 * the daemon chains that runs, or the next one that starts.
 */
import { actEvent } from '../../audit/events.ts'
import { operator } from '../../audit/identity.ts'
import type { CeremonyRecord } from '../../store/domain.ts'
import type { Transaction } from '../../store/store.ts'

export async function record(tx: Transaction, ceremony: CeremonyRecord): Promise<void> {
  await tx.recordCeremony(ceremony)
  const { id, atMs } = ceremony
  await tx.putPendingEvent({ id, atMs, event: eventOf(ceremony), chain: null })
}

/** Such as `DomainRotate`. */
function eventOf({ id, region, command, operator: by, officers, atMs, what, outcome }: CeremonyRecord): string {
  const name = command.replace(/(?:^|[ -])([a-z])/g, (_, letter: string) => letter.toUpperCase())
  return actEvent(
    {
      ...{ eventId: id, name: /^[A-Za-z]+$/.test(name) ? name : 'Ceremony', region },
      identity: operator(by.name, { uid: by.uid, officers }),
      parameters: { command, what },
      ...(outcome === 'failed' ? { error: { code: 'CeremonyFailed', message: what } } : {}),
    },
    atMs,
  )
}
