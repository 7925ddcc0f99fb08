/** Makes and verifies the MACs of stored records in the HSMs of their regions. */
import { setTimeout as sleep } from 'node:timers/promises'
import { ROW_MAC_BYTES } from '../formats/row-mac.ts'
import { ROWS_MAX } from '../hsm/contract/commands.ts'
import { HsmFault } from '../hsm/contract/fault.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import { KmsError } from '../model/errors.ts'
import type { MacedRow, RowMac, RowSigner } from '../store/row-signer.ts'
import { kmsErrorOf } from './faults.ts'

/** A transaction waits with the store's write lock in its hand. */
const DEADLINE_MS = 10_000

type Call = Pick<HsmPool, 'call'>

export interface SigningPools {
  /** Whose domain signs what belongs to no region. */
  readonly home: string
  /** Undefined for a region that is not configured. */
  poolOf(region: string): Call | undefined | Promise<Call | undefined>
}

export class PoolRowSigner implements RowSigner {
  readonly #pools: SigningPools

  constructor(pools: SigningPools) {
    this.#pools = pools
  }

  /** Throws KmsError. */
  async sign(rows: readonly (MacedRow & { readonly region: string | undefined })[]): Promise<RowMac[]> {
    return this.#byRegion(
      rows,
      row => row.region ?? this.#pools.home,
      async (pool, region, batch) => {
        if (pool === undefined) throw notServed(region)
        const { macVersion, macs } = await pool.call('macRows', { rows: batch })
        return batch.map((_row, at) => {
          const mac = Buffer.from(macs.subarray(at * ROW_MAC_BYTES, (at + 1) * ROW_MAC_BYTES))
          return { region, macVersion, mac }
        })
      },
    )
  }

  /** MACs of regions that are not served here are not good. Throws KmsError. */
  async verify(rows: readonly (MacedRow & RowMac)[]): Promise<boolean[]> {
    return this.#byRegion(rows, row => row.region, verifyBatch)
  }

  /** In batches of one region each; the answers come in the order of the rows. */
  async #byRegion<Row, Answer>(
    rows: readonly Row[],
    regionOf: (row: Row) => string,
    ask: (pool: Call | undefined, region: string, batch: Row[]) => Promise<Answer[]>,
  ): Promise<Answer[]> {
    const answers = new Map<Row, Answer>()
    const byRegion = Map.groupBy(rows, regionOf)
    const asked = [...byRegion].map(async ([region, group]) => {
      const pool = await this.#pools.poolOf(region)
      for (let at = 0; at < group.length; at += ROWS_MAX) {
        const batch = group.slice(at, at + ROWS_MAX)
        const batchAnswers = await inTime(ask(pool, region, batch))
        for (const [index, row] of batch.entries()) answers.set(row, batchAnswers[index]!)
      }
    })
    await Promise.all(asked)
    return rows.map(row => answers.get(row)!)
  }
}

async function verifyBatch(pool: Call | undefined, region: string, batch: (MacedRow & RowMac)[]): Promise<boolean[]> {
  if (pool === undefined) return batch.map(() => false)
  try {
    const { verdicts } = await pool.call('verifyRows', { rows: batch })
    return batch.map((_row, at) => verdicts[at] === 1)
  } catch (error) {
    // A version that no domain has: the row that names it is refused, and not those beside it.
    if (!(error instanceof HsmFault) || error.kind !== 'key') throw error
    if (batch.length === 1) return [false]
    const alone = []
    for (const row of batch) alone.push(...(await verifyBatch(pool, region, [row])))
    return alone
  }
}

async function inTime<T>(work: Promise<T>): Promise<T> {
  const over = new AbortController()
  const late = sleep(DEADLINE_MS, undefined, { signal: over.signal, ref: false }).then(() => {
    throw new KmsError('DependencyTimeoutException', 'No HSM can serve the request now. Try again.', {
      detail: 'the MACs of stored records took too long',
    })
  })
  try {
    return await Promise.race([work, late])
  } catch (error) {
    throw kmsErrorOf(error)
  } finally {
    over.abort()
    late.catch(() => {})
  }
}

function notServed(region: string): KmsError {
  return new KmsError('KMSInternalException', 'The region is not served.', { detail: region })
}
