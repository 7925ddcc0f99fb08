/**
 * The material of a deleted key is erased when no domain key version opens any copy of it, backups included (security.md 4.4). That is
 * so once every token has destroyed the versions that it can have been under, and an event says when, for each key.
 */
import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import { actEvent } from '../../audit/events.ts'
import { operator } from '../../audit/identity.ts'
import { keyArn } from '../../model/arn.ts'
import type { Domain } from '../../store/domain.ts'
import type { ErasedKey } from '../../store/store.ts'
import type { CeremonyParts } from './parts.ts'

/** In one transaction. */
const BATCH = 500

/** Records which keys are erased as the domain stands, each once. Returns how many. */
export async function recordErased({ store, clock }: CeremonyParts, domain: Domain): Promise<number> {
  const oldest = oldestLiveVersion(domain)
  const { username, uid } = userInfo()
  const by = operator(username, { uid })
  for (let all = 0; ; ) {
    const erased = await store.transaction(async tx => {
      const atMs = clock()
      const keys = await tx.eraseKeys(domain.region, oldest, atMs, BATCH)
      for (const key of keys) {
        const id = randomUUID()
        await tx.putPendingEvent({ id, atMs, event: eventOf(key, { id, by, atMs, domain, oldest }), chain: null })
      }
      return keys.length
    })
    all += erased
    if (erased < BATCH) return all
  }
}

/** The oldest version that a token holds, or that hosts are told of: a retired token counts until it was emptied. */
function oldestLiveVersion({ versions, tokens }: Domain): number {
  const told = versions
    .filter(({ kind, state }) => kind === 'dk' && state !== 'withdrawn')
    .map(({ version }) => version)
  return Math.min(...told, ...tokens.flatMap(token => token.versions))
}

interface Erasure {
  readonly id: string
  readonly by: string
  readonly atMs: number
  readonly domain: Domain
  readonly oldest: number
}

function eventOf(
  { region, account, keyId, deletedAtMs }: ErasedKey,
  { id, by, atMs, domain, oldest }: Erasure,
): string {
  const arn = keyArn(region, account, keyId)
  const details = {
    keyId: arn,
    deletionDate: new Date(deletedAtMs).toISOString(),
    domain: domain.region,
    domainKeyVersionsDestroyed: oldest - 1,
  }
  return actEvent(
    { eventId: id, name: 'KeyMaterialErased', identity: by, region, account, resources: [arn], details },
    atMs,
  )
}
