import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { PURPOSES } from '../../../src/formats/derivation.ts'
import {
  CKA_ID_BYTES,
  commitmentInput,
  commitmentOf,
  isResidentCkaIdOf,
  residenceOf,
  residentCkaId,
} from '../../../src/formats/resident-key.ts'
import { kidOf, newKeyId } from '../../../src/model/key-id.ts'

interface Vector {
  readonly keySpec: string
  readonly hash: string
  readonly keyId: string
  readonly mid: string
  readonly random: string
  readonly ckaId: string
  readonly hbk: string
  readonly input: string
  readonly commitment: string
}

const file = new URL('../../vectors/resident-key.json', import.meta.url)
const { vectors } = JSON.parse(readFileSync(file, 'utf8')) as { vectors: Vector[] }
const records = new URL('../../vectors/ekt-record.json', import.meta.url)
const recorded = JSON.parse(readFileSync(records, 'utf8')) as {
  vectors: {
    name: string
    outcome: string
    record: string
    fields?: { body: { kind: string; ckaId?: string; serials?: string[] } }
  }[]
}
const hex = (text: string) => Buffer.from(text, 'hex')

describe('the frozen vectors', () => {
  it.each(vectors)('give CKA_ID and commitment: $keySpec of $keyId', vector => {
    const kid = kidOf(vector.keyId)
    const input = commitmentInput(kid, hex(vector.mid))
    expect(residentCkaId(kid, hex(vector.random)).toString('hex')).toBe(vector.ckaId)
    expect(input.toString('hex')).toBe(vector.input)
    const mac = createHmac(vector.hash, hex(vector.hbk)).update(input).digest()
    expect(commitmentOf(mac).toString('hex')).toBe(vector.commitment)
    // What is stored is no MAC of the key.
    expect(commitmentOf(mac)).not.toEqual(mac)
  })
})

describe('a CKA_ID', () => {
  const kid = kidOf(newKeyId())

  it('belongs to one key', () => {
    const ckaId = residentCkaId(kid, Buffer.alloc(15, 7))
    expect(ckaId).toHaveLength(CKA_ID_BYTES)
    expect(isResidentCkaIdOf(ckaId, kid)).toBe(true)
    expect(isResidentCkaIdOf(ckaId, kidOf(newKeyId()))).toBe(false)
    expect(isResidentCkaIdOf(ckaId.subarray(0, 31), kid)).toBe(false)
  })

  it('has no other size', () => {
    expect(() => residentCkaId(kid, Buffer.alloc(14))).toThrow(RangeError)
    expect(() => residentCkaId(kid.subarray(1), Buffer.alloc(16))).toThrow(RangeError)
  })
})

describe('the input of a commitment', () => {
  it('is the input of no derivation', () => {
    const input = commitmentInput(Buffer.alloc(17), Buffer.alloc(32))
    // SP 800-108 begins with its counter, which is 1.
    expect(input.subarray(0, 4)).not.toEqual(Buffer.from([0, 0, 0, 1]))
    for (const { counterLabel } of Object.values(PURPOSES)) expect(input.toString('latin1')).not.toContain(counterLabel)
  })
})

describe('the residence of a record', () => {
  const ofKind = (kind: string) =>
    recorded.vectors.filter(({ outcome, fields }) => outcome === 'verifies' && fields?.body.kind === kind)

  it('is named by a resident one, and by no other', () => {
    expect(ofKind('resident').length).toBeGreaterThan(0)
    for (const { record, fields } of ofKind('resident')) {
      const { ckaId = '', serials = [] } = fields?.body ?? {}
      expect(residenceOf(hex(record))).toEqual({ ckaId: hex(ckaId), serials })
    }
    for (const { record } of ofKind('wrapped')) expect(residenceOf(hex(record))).toBeUndefined()
  })

  it('is nowhere for bytes that are no record', () => {
    expect(residenceOf(Buffer.from('not a record'))).toBeUndefined()
    expect(residenceOf(Buffer.alloc(0))).toBeUndefined()
  })
})
