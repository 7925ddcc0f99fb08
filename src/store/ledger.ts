/**
 * What one transaction sees of the ledgers, and what it changes in them: the buckets of the records it is about, with the
 * branches and heads above them, each read once. Nothing here says that a head is genuine; the row guard asks a token.
 */
import {
  type Anchor,
  branchHash,
  bucketHash,
  EMPTY_BRANCH,
  EMPTY_BRANCHES,
  FAN_OUT,
  LEAF_BYTES,
  LEDGER_DIGEST_BYTES,
  leafOf,
  ledgerDigest,
  type NamedRow,
  placeOf,
} from '../formats/row-ledger.ts'
import { RowRefused } from './faults.ts'
import { findBranch, findBucket, findHead, type LedgerHead, putBranch, putBucket, putHead } from './sql/ledgers.ts'
import type { Handle } from './sql/tables.ts'

const NO_LEAVES = Buffer.alloc(0)

interface Region {
  readonly head: LedgerHead | undefined
  readonly branches: Buffer
  /** By number, as the hashes of their buckets. */
  readonly branch: Map<number, Buffer>
  /** By place, as their leaves. */
  readonly bucket: Map<number, Buffer>
  readonly changed: Set<number>
}

export class Ledger {
  readonly #db: Handle
  readonly #regions = new Map<string, Region>()
  /** Nodes that hash to what stands above them, by region and number. */
  readonly #sound = new Map<string, boolean>()

  /** `db` is a transaction. */
  constructor(db: Handle) {
    this.#db = db
  }

  /** Reads what is needed to know whether a record is listed. */
  async load(region: string, row: NamedRow): Promise<void> {
    const { branch, bucket } = await this.loadRegion(region)
    const place = placeOf(row)
    const above = branchOf(place)
    if (!branch.has(above)) branch.set(above, (await findBranch(this.#db, region, above)) ?? EMPTY_BRANCH)
    if (!bucket.has(place)) bucket.set(place, (await findBucket(this.#db, region, place)) ?? NO_LEAVES)
  }

  async loadRegion(region: string): Promise<Region> {
    const known = this.#regions.get(region)
    if (known !== undefined) return known
    const head = await findHead(this.#db, region)
    const read: Region = {
      ...{ head, branches: Buffer.from(head?.branches ?? EMPTY_BRANCHES) },
      ...{ branch: new Map(), bucket: new Map(), changed: new Set<number>() },
    }
    this.#regions.set(region, read)
    return read
  }

  /** As it was read, loaded before. */
  headOf(region: string): LedgerHead | undefined {
    return this.#loaded(region).head
  }

  /** Whether the bucket where the record stands hashes up to what the head says. Loaded before. */
  isSound(region: string, row: NamedRow): boolean {
    return this.#isSound(region, placeOf(row))
  }

  /** Whether the bucket where the record stands lists it with this MAC. Loaded before. */
  lists(region: string, row: NamedRow, mac: Buffer): boolean {
    return indexOfLeaf(this.#loaded(region).bucket.get(placeOf(row)) ?? NO_LEAVES, leafOf(row, mac)) >= 0
  }

  /**
   * Puts a record's MAC in the place of its former one; undefined stands for none. Throws RowRefused when the bucket is not
   * what the head says: what was changed by hand is not signed with the change that follows.
   */
  async replace(region: string, row: NamedRow, former: Buffer | undefined, mac: Buffer | undefined): Promise<void> {
    await this.load(region, row)
    const { bucket, changed } = this.#loaded(region)
    const place = placeOf(row)
    if (!this.#isSound(region, place))
      throw new RowRefused('ledger_buckets', `${region}/${place}`, 'it was changed by other means than this program')
    let leaves = bucket.get(place) ?? NO_LEAVES
    if (former !== undefined) leaves = without(leaves, leafOf(row, former))
    if (mac !== undefined) leaves = withLeaf(leaves, leafOf(row, mac))
    bucket.set(place, leaves)
    changed.add(place)
  }

  /** Writes what has changed, with a signed head of each changed region, one epoch on. To be called once, at the end. */
  async write(
    sign: (
      heads: readonly (Anchor & { readonly region: string })[],
    ) => Promise<readonly Pick<LedgerHead, 'macVersion' | 'mac'>[]>,
  ): Promise<(Anchor & { readonly region: string })[]> {
    const heads: (Anchor & { region: string; branches: Buffer })[] = []
    for (const [region, { head, branches, changed }] of this.#regions) {
      if (changed.size === 0) continue
      await this.#writeNodes(region)
      heads.push({ region, branches, epoch: (head?.epoch ?? 0) + 1, digest: ledgerDigest(branches) })
    }
    if (heads.length === 0) return []
    const macs = await sign(heads)
    for (const [at, { region, epoch, branches }] of heads.entries())
      await putHead(this.#db, region, { epoch, branches, ...macs[at]! })
    return heads
  }

  async #writeNodes(region: string): Promise<void> {
    const { branches, branch, bucket, changed } = this.#loaded(region)
    const above = new Set<number>()
    for (const place of changed) {
      const leaves = bucket.get(place) ?? NO_LEAVES
      const number = branchOf(place)
      // What was read may be a constant, or memory of the database driver.
      if (!above.has(number)) branch.set(number, Buffer.from(branch.get(number) ?? EMPTY_BRANCH))
      above.add(number)
      bucketHash(leaves).copy(branch.get(number)!, (place % FAN_OUT) * LEDGER_DIGEST_BYTES)
      await putBucket(this.#db, region, place, leaves)
    }
    for (const number of above) {
      const buckets = branch.get(number)!
      branchHash(buckets).copy(branches, number * LEDGER_DIGEST_BYTES)
      await putBranch(this.#db, region, number, buckets)
    }
  }

  #isSound(region: string, place: number): boolean {
    const name = `${region} ${place}`
    const known = this.#sound.get(name)
    if (known !== undefined) return known
    const { branches, branch, bucket } = this.#loaded(region)
    const number = branchOf(place)
    const buckets = branch.get(number) ?? EMPTY_BRANCH
    const sound =
      this.#isBranchSound(region, number, buckets, branches) &&
      stands(bucketHash(bucket.get(place) ?? NO_LEAVES), buckets, place % FAN_OUT)
    this.#sound.set(name, sound)
    return sound
  }

  #isBranchSound(region: string, number: number, buckets: Buffer, branches: Buffer): boolean {
    const name = `${region} branch ${number}`
    const sound = this.#sound.get(name) ?? stands(branchHash(buckets), branches, number)
    this.#sound.set(name, sound)
    return sound
  }

  #loaded(region: string): Region {
    const known = this.#regions.get(region)
    if (known === undefined) throw new RangeError(`the ledger of ${region} was not loaded`)
    return known
  }
}

function branchOf(place: number): number {
  return Math.floor(place / FAN_OUT)
}

/** Hashes of stored rows: nothing secret. */
function stands(digest: Buffer, digests: Buffer, at: number): boolean {
  return digest.equals(digests.subarray(at * LEDGER_DIGEST_BYTES, (at + 1) * LEDGER_DIGEST_BYTES))
}

function indexOfLeaf(leaves: Buffer, leaf: Buffer): number {
  for (let at = 0; at < leaves.length; at += LEAF_BYTES)
    if (leaf.equals(leaves.subarray(at, at + LEAF_BYTES))) return at
  return -1
}

function without(leaves: Buffer, leaf: Buffer): Buffer {
  const at = indexOfLeaf(leaves, leaf)
  return at < 0 ? leaves : Buffer.concat([leaves.subarray(0, at), leaves.subarray(at + LEAF_BYTES)])
}

function withLeaf(leaves: Buffer, leaf: Buffer): Buffer {
  let at = 0
  while (at < leaves.length && Buffer.compare(leaves.subarray(at, at + LEAF_BYTES), leaf) < 0) at += LEAF_BYTES
  return Buffer.concat([leaves.subarray(0, at), leaf, leaves.subarray(at)])
}
