/**
 * Ed25519 key pairs that reside in a token which wraps every other key: what the host makes of them, and what it refuses. A
 * PIN holder plants the private keys of RFC 8032 and forges records for them, so that its vectors go the way of a KMS key.
 */
import { createHash, createPrivateKey, createPublicKey, hash, randomBytes, sign, verify } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { decodeEkt, type EktFields, encodeEkt } from '../../src/formats/ekt.ts'
import type { EktReference } from '../../src/hsm/contract/fields.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import { Host } from '../support/host.ts'
import { forge, listResident, newCkaId, referTo, refused, resultOf } from '../support/resident.ts'
import { asPinHolder, makeTokenDomain, type TokenDomain } from '../support/tokens.ts'

const ACCOUNT = '000000000001'
const ED25519 = { keySpec: 'ECC_NIST_EDWARDS25519', keyUsage: 'SIGN_VERIFY' }
const ALGORITHM = 'ED25519_SHA_512'
/** RFC 8410: PKCS #8 of an Ed25519 key, up to its seed. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b657004220420', 'hex')
const REFUSED = { refused: expect.stringMatching(/^CKR_/) }

interface Made {
  readonly ekt: EktReference
  readonly fields: EktFields
  readonly ckaId: Buffer
  readonly spki: Buffer
}

let tokens: TokenDomain
let host: Host
let serial: string

beforeAll(async () => {
  tokens = await makeTokenDomain(['one'])
  const started = await Host.start(tokens.configurationOf(tokens.locations[0]!))
  host = started.host
  expect(started.event).toMatchObject({
    type: 'ready',
    profile: {
      privateKeys: { RSA: 'ekt', EC: 'ekt', EC_EDWARDS: 'resident' },
      keyMechanisms: ['CKM_EC_EDWARDS_KEY_PAIR_GEN', 'CKM_EDDSA'],
    },
  })
  serial = tokens.domain.tokens[0]!.serial
})

afterAll(async () => {
  await host?.[Symbol.asyncDispose]()
  tokens?.remove()
})

async function make(): Promise<Made> {
  const kid = kidOf(newKeyId())
  const ckaId = newCkaId(kid)
  const made = resultOf(await host.send('createResidentKey', { account: ACCOUNT, kid, ...ED25519, ckaId }))
  const record = Buffer.from(made.record)
  return { ekt: referTo(record), fields: decodeEkt(record).fields, ckaId, spki: Buffer.from(made.publicKey) }
}

/** A private key of known bytes in the token, with a record for it; `commitTo` is what the record says it is. */
async function plant(seed: Buffer, commitTo = seed): Promise<Made> {
  const { fields } = await make()
  const ckaId = newCkaId(fields.kid)
  await asPinHolder(tokens.locations[0]!, 'plantResidentPair', { ckaId, seed })
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, commitTo]), format: 'der', type: 'pkcs8' })
  const spki = createPublicKey(key).export({ type: 'spki', format: 'der' })
  const mid = hash('sha256', Buffer.concat([fields.kid, spki]), 'buffer')
  const input = Buffer.concat([Buffer.from('strongroom/resident/1\0'), fields.kid, mid])
  const commitment = createHash('sha256')
    .update(sign(null, input, key))
    .digest()
  const body = { kind: 'resident' as const, ckaId, serials: [serial], commitment }
  const planted = { ...fields, mid, spkiDigest: hash('sha256', spki, 'buffer'), body }
  return { ekt: await forge(tokens, planted), fields: planted, ckaId, spki }
}

const signBy = ({ ekt }: Pick<Made, 'ekt'>, bytes: Buffer) => host.send('sign', { ekt, algorithm: ALGORITHM, bytes })

const verifyBy = ({ ekt, spki }: Made, bytes: Buffer, signature: Buffer) =>
  host.send('verify', { ekt, publicKey: spki, algorithm: ALGORITHM, bytes, signature })

const listed = () => listResident(host)

describe('a resident key pair', () => {
  it('has a record that names its object, its token and its public half', async () => {
    const { fields, ckaId, spki } = await make()
    expect(fields).toMatchObject({
      ...{ account: ACCOUNT, dkVersion: 1, macVersion: 1, ...ED25519, origin: 'AWS_KMS', kdf: '' },
      ...{ wrapScheme: 'resident', tokenKeyType: 'EC_EDWARDS', trueLength: 32 },
      ...{ mid: hash('sha256', Buffer.concat([fields.kid, spki]), 'buffer') },
      spkiDigest: hash('sha256', spki, 'buffer'),
      body: { kind: 'resident', ckaId, serials: [serial] },
    })
    expect(await listed()).toContain(ckaId.toString('hex'))
  })

  it('signs what node:crypto verifies, and verifies it itself', async () => {
    const key = await make()
    const publicKey = createPublicKey({ key: key.spki, format: 'der', type: 'spki' })
    for (const length of [1, 64, 4_096]) {
      const message = randomBytes(length)
      const signature = Buffer.from(resultOf(await signBy(key, message)).signature)
      expect(verify(null, message, publicKey, signature)).toBe(true)
      expect(resultOf(await verifyBy(key, message, signature))).toEqual({ valid: true })
      signature[7]! ^= 1
      expect(resultOf(await verifyBy(key, message, signature))).toEqual({ valid: false })
    }
    expect(resultOf(await host.send('checkPublicKey', { ekt: key.ekt, publicKey: key.spki }))).toEqual({
      matches: true,
    })
  })

  it.each(RFC_8032())('makes the signature of RFC 8032 section 7.1, $name', async ({ seed, point, message, made }) => {
    const key = await plant(seed)
    expect(key.spki.subarray(-32)).toEqual(point)
    expect(Buffer.from(resultOf(await signBy(key, message)).signature)).toEqual(made)
  })

  it('stays in the token whatever a PIN holder tries', async () => {
    const { ckaId } = await make()
    const outcomes = await asPinHolder(tokens.locations[0]!, 'attackResident', { ckaId })
    expect(Object.keys(outcomes).length).toBeGreaterThan(8)
    for (const [attack, outcome] of Object.entries(outcomes)) expect([attack, outcome]).toEqual([attack, REFUSED])
  })

  it('leaves no public half in the token', async () => {
    await make()
    const objects = await asPinHolder(tokens.locations[0]!, 'listObjects', {})
    expect(objects.filter(each => each.startsWith('public'))).toEqual(['public strongroom/audit'])
  })
})

describe('the host refuses', () => {
  it('another private key in the place of the one that was recorded', async () => {
    const key = await plant(randomBytes(32), randomBytes(32))
    expect(await signBy(key, Buffer.from('x'))).toMatchObject(refused('the object under the CKA_ID is another HBK'))
  })

  it('a second private key under the CKA_ID', async () => {
    const key = await make()
    await asPinHolder(tokens.locations[0]!, 'plantResidentPair', { ckaId: key.ckaId, seed: randomBytes(32) })
    expect(await signBy(key, Buffer.from('x'))).toMatchObject(refused('the token holds 2 objects under one CKA_ID'))
  })

  it('a record whose public key or commitment was changed', async () => {
    const { fields, ekt } = await make()
    const { mac } = decodeEkt(ekt.record)
    if (fields.body.kind !== 'resident') throw new Error('it must be resident')
    const changes: Partial<EktFields>[] = [
      { spkiDigest: randomBytes(32) },
      { body: { ...fields.body, commitment: randomBytes(32) } },
    ]
    for (const change of changes) {
      const answer = await signBy({ ekt: referTo(encodeEkt({ ...fields, ...change }, mac)) }, Buffer.from('x'))
      expect(answer).toMatchObject(refused('the MAC of the EKT record does not verify'))
    }
  })

  it('to keep pairs that commit to nothing, and leaves none behind', async () => {
    const before = await listed()
    const kid = kidOf(newKeyId())
    const request = { account: ACCOUNT, kid, keySpec: 'ECC_NIST_P256', keyUsage: 'SIGN_VERIFY', ckaId: newCkaId(kid) }
    expect(await host.send('createResidentKey', request)).toMatchObject(
      refused('no ECC_NIST_P256 key resides in a token'),
    )
    expect(await listed()).toEqual(before)
  })
})

describe('destroyResidentKey', () => {
  it('destroys the private key that the record names, once and for all, and nothing else', async () => {
    const [doomed, other] = [await make(), await make()]
    await signBy(doomed, Buffer.from('x'))
    await asPinHolder(tokens.locations[0]!, 'plantResidentPair', { ckaId: doomed.ckaId, seed: randomBytes(32) })
    for (let time = 0; time < 2; time += 1)
      expect(await host.send('destroyResidentKey', { ekt: doomed.ekt })).toEqual({ outcome: 'result', result: {} })
    expect(await listed()).not.toContain(doomed.ckaId.toString('hex'))
    expect(await listed()).toContain(other.ckaId.toString('hex'))
    expect(await signBy(doomed, Buffer.from('x'))).toMatchObject(refused('the object under the CKA_ID is another HBK'))
  })
})

function RFC_8032() {
  const vector = (name: string, seed: string, point: string, message: string, made: string) => {
    const hex = (text: string) => Buffer.from(text, 'hex')
    return { name, seed: hex(seed), point: hex(point), message: hex(message), made: hex(made) }
  }
  // TEST 1 signs nothing, which no caller can ask for.
  return [
    vector(
      'TEST 2',
      '4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb',
      '3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c',
      '72',
      '92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00',
    ),
    vector(
      'TEST 3',
      'c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7',
      'fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025',
      'af82',
      '6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a',
    ),
    vector(
      'TEST SHA(abc)',
      '833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42',
      'ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf',
      'ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f',
      'dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704',
    ),
  ]
}
