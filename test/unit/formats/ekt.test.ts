import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { MalformedBytes } from '../../../src/base/bytes.ts'
import { decodeEkt, EKT_MAC_BYTES, type EktFields, ektMacInput, encodeEkt } from '../../../src/formats/ekt.ts'
import { kidOf } from '../../../src/model/key-id.ts'

interface Verifies {
  name: string
  outcome: 'verifies'
  fields: Record<'domainId' | 'region' | 'account' | 'keyId' | 'mid' | 'spkiDigest', string> &
    Record<'keySpec' | 'keyUsage' | 'origin' | 'kdf' | 'wrapScheme' | 'tokenKeyType', string> &
    Record<'dkVersion' | 'macVersion' | 'trueLength', number> & {
      multiRegion: boolean
      body:
        | { kind: 'wrapped'; bytes: string }
        | { kind: 'resident'; ckaId: string; serials: string[]; commitment: string }
    }
  macInput: string
  mac: string
  record: string
}
interface Malformed {
  name: string
  outcome: 'malformed'
  record: string
}

const file = new URL('../../vectors/ekt-record.json', import.meta.url)
const { macKey, vectors } = JSON.parse(readFileSync(file, 'utf8')) as {
  macKey: string
  vectors: (Verifies | Malformed)[]
}
const verifies = vectors.filter(vector => vector.outcome === 'verifies')
const malformed = vectors.filter(vector => vector.outcome === 'malformed')

const hex = (text: string) => Buffer.from(text, 'hex')
const macOf = (input: Buffer) => createHmac('sha256', hex(macKey)).update(input).digest()

function fieldsOf({ fields: { keyId, ...fields } }: Verifies): EktFields {
  const { body } = fields
  return {
    ...fields,
    domainId: hex(fields.domainId),
    kid: kidOf(keyId),
    mid: hex(fields.mid),
    spkiDigest: hex(fields.spkiDigest),
    body:
      body.kind === 'wrapped'
        ? { kind: 'wrapped', bytes: hex(body.bytes) }
        : { kind: 'resident', ckaId: hex(body.ckaId), serials: body.serials, commitment: hex(body.commitment) },
  }
}

const [wrapped, , , resident] = verifies.map(fieldsOf) as [EktFields, EktFields, EktFields, EktFields]

describe('the frozen vectors', () => {
  it('hold wrapped and resident keys', () => {
    expect(new Set(verifies.map(vector => vector.fields.body.kind))).toEqual(new Set(['wrapped', 'resident']))
    expect(malformed.length).toBeGreaterThan(8)
  })

  it.each(verifies)('give MAC input, MAC and record, and read back: $name', vector => {
    const fields = fieldsOf(vector)
    const input = ektMacInput(fields)
    expect(input.toString('hex')).toBe(vector.macInput)
    expect(macOf(input).toString('hex')).toBe(vector.mac)
    expect(encodeEkt(fields, macOf(input)).toString('hex')).toBe(vector.record)
    expect(decodeEkt(hex(vector.record))).toEqual({ fields, mac: hex(vector.mac) })
  })

  it.each(malformed)('refuse: $name', ({ record }) => {
    expect(() => decodeEkt(hex(record))).toThrow(MalformedBytes)
  })
})

describe('the MAC of an EKT record', () => {
  const flipped = (bytes: Buffer) => Buffer.concat([bytes.subarray(0, -1), Buffer.of(bytes.at(-1)! ^ 1)])

  /** Each field alone, changed; a field that is added to EktFields and not to this does not compile. */
  const changes: { readonly [F in keyof Omit<EktFields, 'body'>]: (fields: EktFields) => EktFields[F] } = {
    domainId: fields => flipped(fields.domainId),
    dkVersion: fields => fields.dkVersion + 1,
    macVersion: fields => fields.macVersion + 1,
    region: () => 'on-prem-2',
    account: () => '000000000002',
    kid: fields => flipped(fields.kid),
    mid: fields => flipped(fields.mid),
    keySpec: () => 'HMAC_256',
    keyUsage: () => 'IDENTITY',
    origin: () => 'EXTERNAL',
    kdf: () => '',
    wrapScheme: () => 'RFC3394',
    tokenKeyType: () => 'GENERIC_SECRET',
    trueLength: fields => fields.trueLength - 1,
    multiRegion: fields => !fields.multiRegion,
    spkiDigest: fields => flipped(fields.spkiDigest),
  }
  const bodies: readonly (readonly [string, EktFields, EktFields['body']])[] = [
    ['wrapped bytes', wrapped, { kind: 'wrapped', bytes: flipped(bytesOf(wrapped)) }],
    ['length of the wrapped bytes', wrapped, { kind: 'wrapped', bytes: bytesOf(wrapped).subarray(0, -1) }],
    ['kind', wrapped, resident.body],
    ['CKA_ID', resident, { ...residentOf(resident), ckaId: flipped(residentOf(resident).ckaId) }],
    ['commitment', resident, { ...residentOf(resident), commitment: flipped(residentOf(resident).commitment) }],
    ['serials, one less', resident, { ...residentOf(resident), serials: ['YHSM-22042'] }],
    ['serials, another', resident, { ...residentOf(resident), serials: ['0123456789abcdef', 'YHSM-22043'] }],
  ]
  const names = Object.keys(changes) as (keyof typeof changes)[]
  const cases = [wrapped, resident].flatMap(fields =>
    names.map(name => [`${name} (${fields.body.kind})`, fields, { ...fields, [name]: changes[name](fields) }] as const),
  )
  const all: readonly (readonly [string, EktFields, EktFields])[] = [
    ...cases,
    ...bodies.map(([name, fields, body]) => [name, fields, { ...fields, body }] as const),
  ]

  it.each(all)('changes with %s alone', (_, fields, changed) => {
    const mac = macOf(ektMacInput(fields))
    expect(ektMacInput(changed)).not.toEqual(ektMacInput(fields))
    expect(macOf(ektMacInput(changed)).equals(mac)).toBe(false)
    // The record with the changed field and the old MAC is read, and does not verify.
    const read = decodeEkt(encodeEkt(changed, mac))
    expect(macOf(ektMacInput(read.fields)).equals(read.mac)).toBe(false)
  })

  it('is another one for every one of these changes', () => {
    const macs = all.map(([, , changed]) => macOf(ektMacInput(changed)).toString('hex'))
    expect(new Set(macs).size).toBe(macs.length)
  })

  it('tells neighbouring texts apart that are the same in a row', () => {
    const names = ['region', 'account'] as const
    const shifted = { ...wrapped, region: `${wrapped.region}0`, account: wrapped.account.slice(1) }
    expect(names.map(name => shifted[name]).join('')).toBe(names.map(name => wrapped[name]).join(''))
    expect(ektMacInput(shifted)).not.toEqual(ektMacInput(wrapped))
  })

  it('is over a label of its own, then the bytes between magic number and MAC', () => {
    for (const { record, macInput } of verifies) {
      const label = Buffer.from('strongroom/ekt/1\0', 'latin1')
      expect(Buffer.concat([label, hex(record).subarray(4, -EKT_MAC_BYTES)])).toEqual(hex(macInput))
    }
  })

  it.each(verifies)('does not verify when any one bit of the record is flipped: $name', ({ record }) => {
    const bytes = hex(record)
    const survivors: number[] = []
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      if (verified(bytes)) survivors.push(bit)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
    expect(survivors).toEqual([])
    expect(verified(bytes)).toBe(true)
  })
})

describe('an EKT record', () => {
  const bytes = (length: number) =>
    fc.uint8Array({ minLength: length, maxLength: length }).map(value => Buffer.from(value))
  const name = fc.stringMatching(/^[A-Za-z0-9_-]{0,64}$/)
  const body: fc.Arbitrary<EktFields['body']> = fc.oneof(
    fc.record({
      kind: fc.constant('wrapped' as const),
      bytes: fc.uint8Array({ maxLength: 2_500 }).map(value => Buffer.from(value)),
    }),
    fc.record({
      kind: fc.constant('resident' as const),
      ckaId: fc.uint8Array({ maxLength: 64 }).map(value => Buffer.from(value)),
      serials: fc.uniqueArray(fc.stringMatching(/^[A-Za-z0-9-]{1,16}$/), { maxLength: 5 }).map(list => list.toSorted()),
      commitment: bytes(32),
    }),
  )
  const u32 = fc.integer({ min: 0, max: 0xffff_ffff })
  const fields: fc.Arbitrary<EktFields> = fc.record({
    domainId: bytes(16),
    dkVersion: u32,
    macVersion: u32,
    region: name,
    account: name,
    kid: bytes(17),
    mid: bytes(32),
    keySpec: name,
    keyUsage: name,
    origin: name,
    kdf: name,
    wrapScheme: name,
    tokenKeyType: name,
    trueLength: fc.integer({ min: 0, max: 0xffff }),
    multiRegion: fc.boolean(),
    spkiDigest: bytes(32),
    body,
  })

  it('reads back as the fields it was made of', () => {
    fc.assert(
      fc.property(fields, bytes(32), (fields, mac) => {
        expect(decodeEkt(encodeEkt(fields, mac))).toEqual({ fields, mac })
      }),
    )
  })

  it('names the serials of a resident key in one order', () => {
    const other = { ...resident, body: { ...residentOf(resident), serials: residentOf(resident).serials.toReversed() } }
    expect(ektMacInput(other)).toEqual(ektMacInput(resident))
  })

  it('is refused wherever it is cut', () => {
    for (const { record } of verifies) {
      const bytes = hex(record)
      const read = Array.from(bytes, (_, length) => length).filter(length => decodes(bytes.subarray(0, length)))
      expect(read).toEqual([])
    }
  })

  it('is never refused by anything but MalformedBytes', () => {
    fc.assert(
      fc.property(fields, bytes(32), fc.nat(), fc.integer({ min: 1, max: 255 }), (fields, mac, at, mask) => {
        const record = encodeEkt(fields, mac)
        record[at % record.length]! ^= mask
        expect(() => decodes(record)).not.toThrow()
      }),
    )
  })
})

function decodes(record: Buffer): ReturnType<typeof decodeEkt> | undefined {
  try {
    return decodeEkt(record)
  } catch (error) {
    if (error instanceof MalformedBytes) return undefined
    throw error
  }
}

function verified(record: Buffer): boolean {
  const read = decodes(record)
  return read !== undefined && macOf(ektMacInput(read.fields)).equals(read.mac)
}

function bytesOf({ body }: EktFields): Buffer {
  if (body.kind !== 'wrapped') throw new Error('not a wrapped key')
  return body.bytes
}

function residentOf({ body }: EktFields): Extract<EktFields['body'], { kind: 'resident' }> {
  if (body.kind !== 'resident') throw new Error('not a resident key')
  return body
}
