/** What the tokens of a region remember of the key store, read and written through its pool. */
import type { Anchor } from '../formats/row-ledger.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import { KmsError } from '../model/errors.ts'
import type { Anchors } from '../store/row-signer.ts'
import { kmsErrorOf } from './faults.ts'

/** How long tokens that are still starting are waited for: the one that was written last may be among them. */
const STARTING_MS = 30_000

export type AnchorPool = Pick<HsmPool, 'call' | 'tokens' | 'whenReady'>

export interface AnchorPools {
  /** Undefined for a region that is not configured. */
  poolOf(region: string): AnchorPool | undefined | Promise<AnchorPool | undefined>
}

export class PoolAnchors implements Anchors {
  readonly #pools: AnchorPools

  constructor(pools: AnchorPools) {
    this.#pools = pools
  }

  /** The latest that any token of the region remembers. Throws KmsError when none can be asked. */
  async read(region: string): Promise<Anchor | undefined> {
    const pool = await this.#pools.poolOf(region)
    if (pool === undefined) return undefined
    return inWordsOfTheApi(async () => {
      await pool.whenReady(STARTING_MS)
      const found: Anchor[] = []
      for (const serial of serialsOf(pool)) {
        const { epoch, digest } = await pool.call('readAnchor', {}, { serials: [serial] })
        if (epoch > 0) found.push({ epoch, digest: Buffer.from(digest) })
      }
      return found.toSorted((a, b) => a.epoch - b.epoch).at(-1)
    })
  }

  /**
   * Has every token of the region that serves remember it. Returns how many do from now on: a token that keeps no data
   * objects does not. Throws KmsError.
   */
  async write(region: string, anchor: Anchor): Promise<number> {
    const pool = await this.#pools.poolOf(region)
    if (pool === undefined) return 0
    return inWordsOfTheApi(async () => {
      let remembering = 0
      for (const serial of serialsOf(pool)) {
        const { written } = await pool.call('writeAnchor', anchor, { serials: [serial] })
        if (written) remembering += 1
      }
      return remembering
    })
  }
}

function serialsOf({ tokens }: AnchorPool): string[] {
  const serving = tokens.filter(token => token.serving).map(({ serial }) => serial)
  if (serving.length > 0) return serving
  throw new KmsError('DependencyTimeoutException', 'No HSM can serve the request now. Try again.', {
    detail: 'no token can say how old the key store may be',
  })
}

async function inWordsOfTheApi<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw kmsErrorOf(error)
  }
}
