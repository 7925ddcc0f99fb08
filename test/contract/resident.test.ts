/**
 * HBKs that reside in a token which neither derives nor wraps nor runs AES-GCM: what the host makes of them, and what it
 * refuses. A PIN holder plants objects and forges MACs here, which shows what the records alone still keep.
 */
import { createCipheriv, createDecipheriv, createHash, createHmac, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { contextHash } from '../../src/formats/aad.ts'
import { HEADER_BYTES, parseCiphertext } from '../../src/formats/ciphertext.ts'
import { counterFixedInput } from '../../src/formats/derivation.ts'
import { decodeEkt, type EktFields, encodeEkt } from '../../src/formats/ekt.ts'
import type { EktReference } from '../../src/hsm/contract/fields.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import { Host } from '../support/host.ts'
import { forge, listResident, newCkaId, referTo, refused, resultOf } from '../support/resident.ts'
import { asPinHolder, makeTokenDomain, REGION, type TokenDomain } from '../support/tokens.ts'
import { likeYubiHsm } from '../support/yubihsm-like.ts'

const ACCOUNT = '000000000001'
const SYMMETRIC = { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' }
const NO_CONTEXT = contextHash(new Map())
const INVALID = { outcome: 'fault', fault: { kind: 'input', reason: 'InvalidCiphertext' } }

interface Made {
  readonly ekt: EktReference
  readonly fields: EktFields
  readonly ckaId: Buffer
}

let tokens: TokenDomain
let host: Host
let serial: string

beforeAll(async () => {
  tokens = await makeTokenDomain(['one'], location => likeYubiHsm(location))
  const started = await Host.start(tokens.configurationOf(tokens.locations[0]!))
  host = started.host
  expect(started.event).toMatchObject({
    type: 'ready',
    profile: { wrapSchemes: ['resident'], kdfs: ['SP800-108-HMAC-SHA256'], gcm: 'host' },
  })
  serial = tokens.domain.tokens[0]!.serial
})

afterAll(async () => {
  await host?.[Symbol.asyncDispose]()
  tokens?.remove()
})

async function make(kind = SYMMETRIC): Promise<Made> {
  const kid = kidOf(newKeyId())
  const ckaId = newCkaId(kid)
  const made = await host.send('createResidentKey', { account: ACCOUNT, kid, ...kind, ckaId })
  if (made.outcome !== 'result') throw new Error(JSON.stringify(made))
  const record = Buffer.from(made.result.record)
  return { ekt: referTo(record), fields: decodeEkt(record).fields, ckaId }
}

/** Puts an HBK of known bytes into the token, with a record for it. */
async function plant(hbk: Buffer, changes: Partial<EktFields> = {}, commitTo = hbk): Promise<Made> {
  const { fields } = await make()
  const { kid, mid } = { ...fields, ...changes }
  const ckaId = newCkaId(kid)
  await asPinHolder(tokens.locations[0]!, 'plantResident', { ckaId, value: hbk })
  const body = { kind: 'resident' as const, ckaId, serials: [serial], commitment: commitment(commitTo, kid, mid) }
  const planted = { ...fields, ...changes, body }
  return { ekt: await forge(tokens, planted), fields: planted, ckaId }
}

function commitment(hbk: Buffer, kid: Buffer, mid: Buffer): Buffer {
  const mac = createHmac('sha256', hbk).update('strongroom/resident/1\0').update(kid).update(mid).digest()
  return createHash('sha256').update(mac).digest()
}

/** SP 800-108 in counter mode, written once more. */
function dekOf(hbk: Buffer, { kid, mid }: EktFields, nonce: Buffer): Buffer {
  return createHmac('sha256', hbk)
    .update(Buffer.from([0, 0, 0, 1]))
    .update(counterFixedInput('data', nonce, kid, mid))
    .digest()
}

const encrypt = ({ ekt }: Pick<Made, 'ekt'>, plaintext: Buffer) =>
  host.send('encrypt', { ekt, plaintext, contextHash: NO_CONTEXT })

async function sealed(key: Made, plaintext: Buffer): Promise<Buffer> {
  return Buffer.from(resultOf(await encrypt(key, plaintext)).blob)
}

const decrypt = ({ ekt }: Pick<Made, 'ekt'>, blob: Buffer, ecHash = NO_CONTEXT) =>
  host.send('decrypt', { ekt, blob, contextHash: ecHash })

const listed = () => listResident(host)

describe('a resident HBK', () => {
  it('has a record that names its object, its token and what it commits to, and no domain key', async () => {
    const { fields, ckaId } = await make()
    expect(fields).toMatchObject({
      ...{ region: REGION, account: ACCOUNT, dkVersion: 0, macVersion: 1, ...SYMMETRIC },
      ...{ kdf: 'SP800-108-HMAC-SHA256', wrapScheme: 'resident', tokenKeyType: 'GENERIC_SECRET', trueLength: 32 },
      body: { kind: 'resident', ckaId, serials: [serial] },
    })
    expect(await listed()).toContain(ckaId.toString('hex'))
  })

  it('seals and opens, and refuses every flipped bit', async () => {
    const key = await make()
    for (const length of [1, 16, 4_096]) {
      const plaintext = randomBytes(length)
      const opened = resultOf(await decrypt(key, await sealed(key, plaintext)))
      expect(opened.plaintext).toEqual(plaintext)
    }
    const blob = await sealed(key, Buffer.from('x'))
    for (let bit = 0; bit < blob.length * 8; bit += 1) {
      const flipped = Buffer.from(blob)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      expect(await decrypt(key, flipped)).toMatchObject(INVALID)
    }
  })

  it('gives the bytes that SP 800-108 and AES-256-GCM give, both ways', async () => {
    const hbk = randomBytes(32)
    const key = await plant(hbk)
    const plaintext = randomBytes(100)
    const blob = await sealed(key, plaintext)
    const { suite, nonce, iv, sealed: body } = parseCiphertext(blob)
    const dek = dekOf(hbk, key.fields, nonce)
    const aad = Buffer.concat([blob.subarray(0, HEADER_BYTES), NO_CONTEXT])
    const cipher = createCipheriv('aes-256-gcm', dek, iv).setAAD(aad)
    const expected = Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()])
    expect({ suite, body }).toEqual({ suite: 2, body: expected })
    const decipher = createDecipheriv('aes-256-gcm', dek, iv).setAAD(aad).setAuthTag(body.subarray(-16))
    expect(Buffer.concat([decipher.update(body.subarray(0, -16)), decipher.final()])).toEqual(plaintext)
  })

  it.each(suiteTwoVectors())('opens the frozen ciphertext of suite 2: context $context', async vector => {
    const hex = (text: string) => Buffer.from(text, 'hex')
    const key = await plant(hex(vector.hbk), { kid: hex(vector.kid), mid: hex(vector.mid) })
    const context = contextHash(new Map(Object.entries(JSON.parse(vector.context) as Record<string, string>)))
    expect(resultOf(await decrypt(key, hex(vector.blob), context)).plaintext).toEqual(hex(vector.plaintext))
  })

  it('stays in the token whatever a PIN holder tries', async () => {
    const { ckaId } = await make()
    const outcomes = await asPinHolder(tokens.locations[0]!, 'attackResident', { ckaId })
    expect(Object.keys(outcomes).length).toBeGreaterThan(8)
    for (const [attack, outcome] of Object.entries(outcomes)) expect([attack, outcome]).toEqual([attack, REFUSED])
  })

  it.each([256, 384, 512])('makes MACs as an HMAC key of %i bits, and derives nothing (24)', async bits => {
    const key = await make({ keySpec: `HMAC_${bits}`, keyUsage: 'GENERATE_VERIFY_MAC' })
    const message = Buffer.from('a message')
    expect(resultOf(await host.send('generateMac', { ekt: key.ekt, message })).mac).toHaveLength(bits / 8)
    expect(await encrypt(key, message)).toMatchObject(refused('the EKT is not for this purpose'))
    const symmetric = await make()
    const answer = await host.send('generateMac', { ekt: symmetric.ekt, message })
    expect(answer).toMatchObject(refused('the EKT is not for this purpose'))
  })

  it('leaves nothing behind where the token lacks the mechanism of its spec', async () => {
    const before = await listed()
    await expect(make({ keySpec: 'HMAC_224', keyUsage: 'GENERATE_VERIFY_MAC' })).rejects.toThrow('MECHANISM_INVALID')
    expect(await listed()).toEqual(before)
  })
})

const REFUSED = { refused: expect.stringMatching(/^CKR_/) }

describe('the host refuses', () => {
  it('a CKA_ID that is taken, by the key itself too, and one of another key', async () => {
    const { fields, ckaId } = await make()
    const request = { account: ACCOUNT, ...SYMMETRIC, ckaId }
    const taken = await host.send('createResidentKey', { ...request, kid: fields.kid })
    expect(taken).toMatchObject(refused('the CKA_ID is taken in this token'))
    const foreign = await host.send('createResidentKey', { ...request, kid: kidOf(newKeyId()) })
    expect(foreign).toMatchObject(refused("the CKA_ID is not the key's"))
  })

  it('a second object under the CKA_ID', async () => {
    const key = await make()
    await asPinHolder(tokens.locations[0]!, 'plantResident', { ckaId: key.ckaId, value: randomBytes(32) })
    expect(await encrypt(key, Buffer.from('x'))).toMatchObject(refused('the token holds 2 objects under one CKA_ID'))
  })

  it('another HBK in the place of the one that was recorded', async () => {
    const key = await plant(randomBytes(32), {}, randomBytes(32))
    expect(await encrypt(key, Buffer.from('x'))).toMatchObject(refused('the object under the CKA_ID is another HBK'))
  })

  it('a record with any field of the residence changed, and one for another token', async () => {
    const { fields, ekt } = await make()
    const { mac } = decodeEkt(ekt.record)
    if (fields.body.kind !== 'resident') throw new Error('it must be resident')
    const changes: Partial<typeof fields.body>[] = [
      { ckaId: randomBytes(32) },
      { serials: ['another'] },
      { commitment: randomBytes(32) },
    ]
    for (const change of changes) {
      const record = encodeEkt({ ...fields, body: { ...fields.body, ...change } }, mac)
      const answer = await encrypt({ ekt: referTo(record) }, Buffer.from('x'))
      expect(answer).toMatchObject(refused('the MAC of the EKT record does not verify'))
    }
    const elsewhere = await forge(tokens, { ...fields, body: { ...fields.body, serials: ['another'] } })
    expect(await encrypt({ ekt: elsewhere }, Buffer.from('x'))).toMatchObject(
      refused('the HBK resides in another token'),
    )
  })

  it('to wrap, which it cannot', async () => {
    const request = { account: ACCOUNT, kid: kidOf(newKeyId()), ...SYMMETRIC }
    expect(await host.send('createBackingKey', request)).toMatchObject(
      refused('this token does not wrap keys: they reside in it'),
    )
  })

  it('a key whose object is gone', async () => {
    const key = await make()
    await sealed(key, Buffer.from('x'))
    await host.send('destroyResidentKey', { ekt: key.ekt })
    expect(await encrypt(key, Buffer.from('x'))).toMatchObject(refused('the token has lost the object of the HBK'))
  })
})

describe('destroyResidentKey', () => {
  it('destroys what the record names, once and for all, and nothing else', async () => {
    const [doomed, other] = [await make(), await make()]
    const planted = randomBytes(32)
    await asPinHolder(tokens.locations[0]!, 'plantResident', { ckaId: doomed.ckaId, value: planted })
    for (let time = 0; time < 2; time += 1)
      expect(await host.send('destroyResidentKey', { ekt: doomed.ekt })).toEqual({ outcome: 'result', result: {} })
    expect(await listed()).not.toContain(doomed.ckaId.toString('hex'))
    expect(await listed()).toContain(other.ckaId.toString('hex'))
    // What was planted under the same CKA_ID is another HBK, and is left alone.
    expect(await encrypt(doomed, Buffer.from('x'))).toMatchObject(refused('the object under the CKA_ID is another HBK'))
  })

  it('destroys nothing for a record whose MAC is not good', async () => {
    const { fields, ekt, ckaId } = await make()
    const { mac } = decodeEkt(ekt.record)
    const forged = referTo(encodeEkt(fields, Buffer.concat([mac.subarray(1), mac.subarray(0, 1)])))
    expect(await host.send('destroyResidentKey', { ekt: forged })).toMatchObject(
      refused('the MAC of the EKT record does not verify'),
    )
    expect(await listed()).toContain(ckaId.toString('hex'))
  })
})

interface Vector {
  readonly outcome: string
  readonly suite: number
  readonly kid: string
  readonly mid: string
  readonly hbk: string
  readonly context: string
  readonly blob: string
  readonly plaintext: string
}

function suiteTwoVectors(): Vector[] {
  const file = readFileSync(new URL('../vectors/ciphertext.json', import.meta.url), 'utf8')
  const { vectors } = JSON.parse(file) as { vectors: Vector[] }
  // What is of several regions resides in no token.
  return vectors.filter(({ outcome, suite, kid }) => outcome === 'opens' && suite === 2 && kid.startsWith('00'))
}
