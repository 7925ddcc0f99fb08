/** Has a token of the home region sign checkpoints of the audit log. */
import type { CheckpointClaims } from '../formats/audit-checkpoint.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'

/** Throws what the pool throws. */
export async function signCheckpoint(
  pool: Pick<HsmPool, 'call'>,
  { head, timeMs, previous, anchor, others }: CheckpointClaims,
): Promise<{ body: Buffer; signature: Buffer }> {
  const { body, signature } = await pool.call('signCheckpoint', {
    ...{ chain: Buffer.from(head.chain, 'hex'), seq: head.seq, head: Buffer.from(head.hash, 'hex') },
    ...{ timeMs, previous, epoch: anchor.epoch, anchor: anchor.digest },
    others: others.map(({ chain, seq, hash }) => ({
      ...{ chain: Buffer.from(chain, 'hex'), seq, head: Buffer.from(hash, 'hex') },
    })),
  })
  // Results are views of a frame that the next answer overwrites.
  return { body: Buffer.from(body), signature: Buffer.from(signature) }
}
