/**
 * The keys of one multi-Region key, one in each of its regions, and what keeps them in step: whatever they share changes in
 * one transaction for all of them. Policy, grants, aliases, tags, description and state are each key's own.
 */
import { DAY_MS } from '../base/clock.ts'
import type { Ekt, KeyMaterial, KmsKey } from '../model/key.ts'
import { isReplica } from '../model/multi-region.ts'
import type { Reader, Transaction } from '../store/store.ts'

/** Those of the other regions; none for a key of one region. */
export async function relatedKeys(
  reader: Pick<Reader, 'listRegionsOfKey' | 'findKey'>,
  { region: own, account, id, primaryRegion }: KmsKey,
): Promise<KmsKey[]> {
  if (primaryRegion === undefined) return []
  const related: KmsKey[] = []
  for (const region of await reader.listRegionsOfKey(account, id)) {
    const key = region === own ? undefined : await reader.findKey({ region, account }, id)
    if (key !== undefined) related.push(key)
  }
  return related
}

/** Writes what the others share with a key that was changed already. */
export async function changeInStep(
  tx: Transaction,
  key: KmsKey,
  change: Partial<Pick<KmsKey, 'rotation' | 'primaryRegion'>>,
): Promise<void> {
  for (const related of await relatedKeys(tx, key))
    await tx.updateKey({ ...related, ...change, generation: related.generation + 1 })
}

/**
 * Rotates a key, `generation` already one above the stored one, and those related to it. Generated material is one record in
 * every region; imported material is what each region imported under the same id.
 */
export async function rotateInStep(tx: Transaction, key: KmsKey, material: KeyMaterial): Promise<void> {
  await tx.rotateKey(key, material)
  const { state, rotationType, rotatedAtMs } = material
  for (const related of await relatedKeys(tx, key)) {
    const own = related.materials.get(material.id)
    const next = own === undefined ? material : { ...own, state, rotationType, rotatedAtMs }
    await tx.rotateKey({ ...related, rotation: key.rotation, generation: related.generation + 1 }, next)
  }
}

/** Replicas wait for the import of what was imported into their primary, to be rotated to. */
export async function awaitInStep(tx: Transaction, key: KmsKey, pending: KeyMaterial): Promise<void> {
  for (const related of await relatedKeys(tx, key)) {
    const changed = { ...related, generation: related.generation + 1 }
    await tx.putMaterial(changed, { ...pending, ekt: undefined, expiresAtMs: undefined })
  }
}

/** What hosts of a region are to let go of. */
export interface RemovedMaterial {
  readonly region: string
  readonly ekt: Ekt
}

/** Pending material that is taken from a primary is taken from its replicas. */
export async function deletePendingInStep(tx: Transaction, key: KmsKey, id: string): Promise<RemovedMaterial[]> {
  const removed: RemovedMaterial[] = []
  for (const related of await relatedKeys(tx, key)) {
    const ekt = related.materials.get(id)?.ekt
    if (ekt !== undefined) removed.push({ region: related.region, ekt })
    await tx.deleteMaterial({ ...related, generation: related.generation + 1 }, id)
  }
  return removed
}

/** The material of a replica that is made: generated material as it is, imported material to be imported there, too. */
export function replicatedMaterials({ materials, origin }: KmsKey): KeyMaterial[] {
  const copies = [...materials.values()]
  if (origin !== 'EXTERNAL') return copies
  return copies.map(material => ({ ...material, ekt: undefined, expiresAtMs: undefined }))
}

/** After a replica was deleted: a primary that waited for the last of them begins its own waiting period. */
export async function releasePrimary(tx: Transaction, deleted: KmsKey, nowMs: number): Promise<void> {
  const { account, id, primaryRegion } = deleted
  if (!isReplica(deleted) || primaryRegion === undefined) return
  const primary = await tx.findKey({ region: primaryRegion, account }, id)
  if (primary?.state !== 'PendingReplicaDeletion' || primary.deletionWindowDays === undefined) return
  if ((await tx.listRegionsOfKey(account, id)).some(region => region !== primaryRegion)) return
  await tx.updateKey({
    ...primary,
    state: 'PendingDeletion',
    deletionAtMs: nowMs + primary.deletionWindowDays * DAY_MS,
    deletionWindowDays: undefined,
    generation: primary.generation + 1,
  })
}
