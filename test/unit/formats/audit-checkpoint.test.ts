import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { MalformedBytes } from '../../../src/base/bytes.ts'
import { checkpointLine } from '../../../src/formats/audit-chain.ts'
import {
  auditKeyId,
  type Checkpoint,
  checkpointDigest,
  isSignedBy,
  readCheckpoint,
  writeCheckpoint,
} from '../../../src/formats/audit-checkpoint.ts'

interface Vector {
  readonly name: string
  readonly domainId: string
  readonly head: Checkpoint['head']
  readonly timeMs: number
  readonly previous: string
  readonly anchor: { readonly epoch: number; readonly digest: string }
  readonly others: Checkpoint['others']
  readonly lane: string
  readonly commands: number
  readonly uses: number
  readonly auditKey: string
  readonly body: string
  readonly digest: string
  readonly signature: string
  readonly line: string
}

const file = new URL('../../vectors/audit-checkpoint.json', import.meta.url)
const frozen = JSON.parse(readFileSync(file, 'utf8')) as { publicKey: string; vectors: Vector[] }
const hex = (text: string) => Buffer.from(text, 'hex')
const publicKey = hex(frozen.publicKey)

const checkpointOf = ({ anchor, ...vector }: Vector): Checkpoint => ({
  ...{ head: vector.head, timeMs: vector.timeMs, others: vector.others, commands: vector.commands, uses: vector.uses },
  ...{ domainId: hex(vector.domainId), previous: hex(vector.previous), lane: hex(vector.lane) },
  ...{ auditKey: hex(vector.auditKey), anchor: { epoch: anchor.epoch, digest: hex(anchor.digest) } },
})

describe('the frozen vectors', () => {
  it.each(frozen.vectors)('give body, digest and signature: $name', vector => {
    const body = writeCheckpoint(checkpointOf(vector))
    expect(body.toString('hex')).toBe(vector.body)
    expect(readCheckpoint(body)).toEqual(checkpointOf(vector))
    expect(checkpointDigest(body).toString('hex')).toBe(vector.digest)
    expect(auditKeyId(publicKey).toString('hex')).toBe(vector.auditKey)
    expect(isSignedBy(publicKey, body, hex(vector.signature))).toBe(true)
    expect(checkpointLine(body, hex(vector.signature))).toBe(vector.line)
  })
})

describe('a checkpoint', () => {
  const [vector] = frozen.vectors as [Vector]
  const body = hex(vector.body)

  it('is not signed once a bit of it is another', () => {
    for (let at = 0; at < body.length; at += 7) {
      const altered = Buffer.from(body)
      altered[at]! ^= 1 << (at % 8)
      expect(isSignedBy(publicKey, altered, hex(vector.signature))).toBe(false)
    }
  })

  it('is not read with a byte more or less', () => {
    for (const bytes of [body.subarray(0, -1), Buffer.concat([body, Buffer.of(0)]), Buffer.alloc(0)]) {
      expect(() => readCheckpoint(bytes)).toThrow(MalformedBytes)
    }
  })
})
