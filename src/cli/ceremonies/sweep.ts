/**
 * The sweep of a rotation (security.md 4.1, steps 4 and 5): batches of EKT records go through the token and back into their
 * rows. A row that has changed or gone meanwhile is left alone; what is still under the old version is read again.
 */
import { REWRAP_BATCH_BYTES } from '../../hsm/contract/ceremony.ts'
import type { Ceremony } from '../../hsm/pool/ceremony.ts'
import type { StoredEkt } from '../../store/records.ts'
import type { Store } from '../../store/store.ts'
import { CommandFailed } from '../admin-client.ts'

export interface SweepProgress {
  readonly done: number
  readonly total: number
}

export interface SweepParts {
  readonly store: Store
  /** A process that holds the re-wrap twin. */
  readonly rewrapper: Ceremony
  readonly onProgress?: (progress: SweepProgress) => void
  readonly onStep?: (step: string) => void | Promise<void>
}

/** Rows of one transaction: others that write wait for no longer than it takes. */
const BATCH_ROWS = 256
/** Only records that were being inserted while the barrier rose are left for a second pass. */
const PASSES_MAX = 5
const REFUSALS_NAMED = 10

interface Refusal {
  readonly ekt: StoredEkt
  readonly reason: string
}

/** Re-wraps every record of a region under `version`. Throws {@link CommandFailed} that names records that were refused. */
export async function sweepEkts(parts: SweepParts, region: string, version: number): Promise<void> {
  const { store, onProgress, onStep } = parts
  let done = 0
  for (let pass = 1; ; pass += 1) {
    const left = await store.reader.countEkts(region, version)
    if (left === 0) return
    if (pass > PASSES_MAX) throw new CommandFailed(`${region}: ${left} records keep changing: run the command again`)
    const refusals: Refusal[] = []
    const total = done + left
    onProgress?.({ done, total })
    for (let after: StoredEkt | undefined; ; ) {
      const batch = await store.reader.listEkts(region, version, after, BATCH_ROWS)
      after = batch.at(-1)
      if (after === undefined) break
      done += await sweepBatch(parts, batch, refusals)
      onProgress?.({ done, total: Math.max(done, total) })
      await onStep?.(`swept ${done}`)
    }
    if (refusals.length > 0) throw refused(region, refusals)
  }
}

async function sweepBatch(
  { store, rewrapper }: SweepParts,
  batch: readonly StoredEkt[],
  refusals: Refusal[],
): Promise<number> {
  const replacements: { old: StoredEkt; record: Buffer }[] = []
  for (const ekts of chunksOf(batch)) {
    const request = { records: ekts.map(({ record }) => record.toString('base64')) }
    const { records } = await rewrapper.call('rewrapEkts', request)
    ekts.forEach((ekt, at) => {
      const answer = records[at]
      if (answer === undefined) throw new RangeError('the token answered for fewer records than it was given')
      if ('record' in answer) replacements.push({ old: ekt, record: Buffer.from(answer.record, 'base64') })
      else refusals.push({ ekt, reason: answer.refused })
    })
  }
  return store.transaction(async tx => {
    let replaced = 0
    for (const { old, record } of replacements) if (await tx.replaceEkt(old, record)) replaced += 1
    return replaced
  })
}

/** As many records as one command carries. */
function* chunksOf(batch: readonly StoredEkt[]): Generator<StoredEkt[]> {
  let chunk: StoredEkt[] = []
  let bytes = 0
  for (const ekt of batch) {
    if (chunk.length > 0 && bytes + ekt.record.length > REWRAP_BATCH_BYTES) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(ekt)
    bytes += ekt.record.length
  }
  if (chunk.length > 0) yield chunk
}

function refused(region: string, refusals: readonly Refusal[]): CommandFailed {
  const named = refusals.slice(0, REFUSALS_NAMED).map(({ ekt, reason }) => `  ${ekt.name}: ${reason}`)
  const more = refusals.length > named.length ? [`  and ${refusals.length - named.length} more`] : []
  return new CommandFailed(
    [
      `${region}: ${refusals.length} records cannot be re-wrapped; every other one is, and the rotation stays open:`,
      ...named,
      ...more,
    ].join('\n'),
  )
}
