import type { Handler } from './command.ts'

/** The audit key signs nothing but checkpoints, and those only forward. */
export const signCheckpoint: Handler<'signCheckpoint'> = ({ auditKey }, { chain, seq, head, timeMs, ...claims }) =>
  auditKey.sign({
    head: { chain: chain.toString('hex'), seq, hash: head.toString('hex') },
    timeMs,
    previous: claims.previous,
    anchor: { epoch: claims.epoch, digest: claims.anchor },
    others: claims.others.map(other => ({
      chain: other.chain.toString('hex'),
      seq: other.seq,
      hash: other.head.toString('hex'),
    })),
  })
