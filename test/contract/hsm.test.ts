/**
 * What every HSM must do for the service, whatever the token is: one suite over the contract, run on SoftHSM, and on NSS
 * by hsm-nss.test.ts. The numbers
 * in titles are those of security.md 6.
 */
import { createDecipheriv, createHmac, hash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { buildFaultyModule, makeFaulty } from '../../scripts/chaos/faulty-module.ts'
import { contextHash } from '../../src/formats/aad.ts'
import { auditKeyId, isSignedBy, readCheckpoint } from '../../src/formats/audit-checkpoint.ts'
import { HEADER_BYTES, OVERHEAD_BYTES, parseCiphertext } from '../../src/formats/ciphertext.ts'
import { decodeEkt, type EktFields, ektMacInput, encodeEkt } from '../../src/formats/ekt.ts'
import { decodeSealedSecret, encodeSealedSecret, sealedSecretAad } from '../../src/formats/sealed-secret.ts'
import type { Args } from '../../src/hsm/contract/commands.ts'
import type { EktReference } from '../../src/hsm/contract/fields.ts'
import type { HsmPool } from '../../src/hsm/pool/pool.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import { Host } from '../support/host.ts'
import { hsmUnderTest as hsm, type KeyNames } from '../support/hsm-under-test.ts'
import { asPinHolder, REGION, type TokenDomain } from '../support/tokens.ts'

const ACCOUNT = '000000000001'
const NO_CONTEXT = contextHash(new Map())
const CONTEXT = contextHash(new Map([['purpose', 'test']]))
const SYMMETRIC = { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' }
const IDENTITY = { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'IDENTITY' }
const hmacOf = (bits: number) => ({ keySpec: `HMAC_${bits}`, keyUsage: 'GENERATE_VERIFY_MAC' })
const MAC_BYTES = { HMAC_224: 28, HMAC_256: 32, HMAC_384: 48, HMAC_512: 64 }
/** The one answer to a ciphertext that does not open, whatever is wrong with it. */
const INVALID = { kind: 'input', reason: 'InvalidCiphertext' }
const OTHER_PURPOSE = { kind: 'key', reason: 'the EKT is not for this purpose' }
const HBKS_MIN = 16

interface MadeKey {
  readonly ekt: EktReference
  readonly kid: Buffer
  readonly mid: Buffer
  readonly fields: EktFields
}

let tokens: TokenDomain
let left: HsmPool
let right: HsmPool

beforeAll(async () => {
  tokens = await hsm.make()
  const [first, second = first] = tokens.locations
  ;[left, right] = await Promise.all([tokens.startPool([first!]), tokens.startPool([second!])])
})

afterAll(async () => {
  await Promise.all([left?.close(), right?.close()])
  tokens?.remove()
})

async function makeKey(kind: { keySpec: string; keyUsage: string } = SYMMETRIC, pool = left): Promise<MadeKey> {
  const kid = kidOf(newKeyId())
  const { record, mid } = await pool.call('createBackingKey', { account: ACCOUNT, kid, ...kind })
  return { ...keyOf(Buffer.from(record)), mid: Buffer.from(mid) }
}

function keyOf(record: Buffer): MadeKey {
  const { fields } = decodeEkt(record)
  return { ekt: { record, digest: hash('sha256', record, 'buffer') }, kid: fields.kid, mid: fields.mid, fields }
}

const wrappedOf = ({ fields: { body } }: MadeKey): Buffer => (body.kind === 'wrapped' ? body.bytes : Buffer.alloc(0))

/** Buffers of results are views of what came in; a test may keep them. */
async function encrypt({ ekt }: MadeKey, plaintext: Buffer, ecHash = NO_CONTEXT, pool = left): Promise<Buffer> {
  return Buffer.from((await pool.call('encrypt', { ekt, plaintext, contextHash: ecHash })).blob)
}

async function decrypt({ ekt }: Pick<MadeKey, 'ekt'>, blob: Buffer, ecHash = NO_CONTEXT, pool = left): Promise<Buffer> {
  return Buffer.from((await pool.call('decrypt', { ekt, blob, contextHash: ecHash })).plaintext)
}

const settled = (calls: readonly Promise<unknown>[]): Promise<unknown[]> =>
  Promise.all(
    calls.map(call =>
      call.then(
        () => 'answered',
        ({ kind, reason }) => ({ kind, reason }),
      ),
    ),
  )

const flipBit = (bytes: Buffer, bit: number): Buffer => {
  const flipped = Buffer.from(bytes)
  flipped[bit >> 3]! ^= 1 << (bit & 7)
  return flipped
}

describe('createBackingKey', () => {
  it.each([SYMMETRIC, IDENTITY, ...[224, 256, 384, 512].map(hmacOf)])(
    'makes an EKT for $keySpec, $keyUsage that says what it is',
    async kind => {
      const { fields, kid, mid } = await makeKey(kind)
      const derives = kind.keySpec === 'SYMMETRIC_DEFAULT'
      expect(fields).toEqual({
        ...{ domainId: Buffer.from(tokens.domain.id, 'hex'), dkVersion: 1, macVersion: 1, region: REGION },
        ...{ account: ACCOUNT, kid, mid, ...kind, origin: 'AWS_KMS', kdf: derives ? hsm.kdf : '' },
        ...{ wrapScheme: 'RFC5649', tokenKeyType: derives ? hsm.tokenKeyType : 'GENERIC_SECRET', multiRegion: false },
        trueLength: derives ? 32 : Number(kind.keySpec.slice('HMAC_'.length)) / 8,
        spkiDigest: Buffer.alloc(32),
        body: { kind: 'wrapped', bytes: expect.any(Buffer) },
      })
    },
  )

  it('never makes the same twice', async () => {
    const kid = kidOf(newKeyId())
    const make = () => left.call('createBackingKey', { account: ACCOUNT, kid, ...SYMMETRIC })
    const made = (await Promise.all([make(), make()])).map(({ record }) => keyOf(Buffer.from(record)))
    expect(new Set(made.map(({ mid }) => mid.toString('hex'))).size).toBe(2)
    expect(new Set(made.map(key => wrappedOf(key).toString('hex'))).size).toBe(2)
  })

  it.each([
    { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'GENERATE_VERIFY_MAC' },
    { keySpec: 'HMAC_256', keyUsage: 'ENCRYPT_DECRYPT' },
    { keySpec: 'AES_512', keyUsage: 'ENCRYPT_DECRYPT' },
  ])('refuses $keySpec for $keyUsage', async kind => {
    await expect(makeKey(kind)).rejects.toMatchObject({ name: 'HsmFault', kind: 'key' })
  })
})

describe('encrypt and decrypt', () => {
  it.each([1, 15, 16, 17, 4_096])('carry %i bytes through', async length => {
    const key = await makeKey()
    const plaintext = randomBytes(length)
    const blob = await encrypt(key, plaintext, CONTEXT)
    expect(blob).toHaveLength(length + OVERHEAD_BYTES)
    expect(await decrypt(key, blob, CONTEXT)).toEqual(plaintext)
  })

  it('differ in nonce, IV and ciphertext for equal input', async () => {
    const key = await makeKey()
    const plaintext = randomBytes(32)
    const blobs = await Promise.all(Array.from({ length: 50 }, () => encrypt(key, plaintext)))
    const parts = blobs.map(parseCiphertext)
    for (const part of ['nonce', 'iv', 'sealed'] as const)
      expect(new Set(parts.map(each => each[part].toString('hex'))).size).toBe(blobs.length)
  })

  it('name key, material and suite in the header', async () => {
    const key = await makeKey()
    const { suite, kid, mid } = parseCiphertext(await encrypt(key, Buffer.from('x')))
    expect({ suite, kid, mid }).toEqual({ suite: hsm.suite, kid: key.kid, mid: key.mid })
  })

  it('refuse another encryption context', async () => {
    const key = await makeKey()
    const blob = await encrypt(key, Buffer.from('x'), CONTEXT)
    await expect(decrypt(key, blob)).rejects.toMatchObject(INVALID)
  })

  it('refuse a ciphertext with any bit flipped, with one and the same answer (1)', async () => {
    const key = await makeKey()
    const blob = await encrypt(key, randomBytes(20), CONTEXT)
    expect(await decrypt(key, blob, CONTEXT)).toHaveLength(20)
    const attempts = Array.from({ length: blob.length * 8 }, (_, bit) => decrypt(key, flipBit(blob, bit), CONTEXT))
    expect(new Set((await settled(attempts)).map(answer => JSON.stringify(answer)))).toEqual(
      new Set([JSON.stringify(INVALID)]),
    )
    expect(await decrypt(key, blob, CONTEXT)).toHaveLength(20)
  })

  it('refuse a ciphertext that was cut or lengthened, with the same answer', async () => {
    const key = await makeKey()
    const blob = await encrypt(key, randomBytes(20))
    const cut = Array.from({ length: blob.length }, (_, length) => blob.subarray(0, length))
    const attempts = [...cut, Buffer.concat([blob, Buffer.alloc(1)]), Buffer.concat([blob, blob])]
    for (const answer of await settled(attempts.map(each => decrypt(key, each)))) expect(answer).toEqual(INVALID)
  })

  it('refuse a header that names another material or suite, the HBK being in use (3)', async () => {
    const key = await makeKey()
    const other = await makeKey()
    const blob = await encrypt(key, Buffer.from('x'))
    await decrypt(key, blob)
    await encrypt(other, Buffer.from('x'))
    const otherMid = Buffer.concat([blob.subarray(0, 22), other.mid, blob.subarray(54)])
    const otherKid = Buffer.concat([blob.subarray(0, 5), other.kid, blob.subarray(22)])
    const otherSuite = Buffer.concat([blob.subarray(0, 4), Buffer.from([3 - hsm.suite]), blob.subarray(5)])
    const attempts = [otherMid, otherKid, otherSuite].map(each => decrypt(key, each))
    for (const answer of await settled(attempts)) expect(answer).toEqual(INVALID)
  })

  it('refuse the ciphertext of one key under another with equal HBK bytes (2)', async () => {
    const a = await makeKey()
    const b = await forgeRecord(a, { kid: kidOf(newKeyId()), mid: randomBytes(32) })
    const plaintext = randomBytes(24)
    const blobOfA = await encrypt(a, plaintext)
    // The forged record is good, and its HBK is A's: what follows fails by the binding alone.
    expect(wrappedOf(b)).toEqual(wrappedOf(a))
    expect(await decrypt(b, await encrypt(b, plaintext))).toEqual(plaintext)
    const { nonce, iv, sealed } = parseCiphertext(blobOfA)
    const dek = await deriveAsPinHolder(b, nonce, a)
    expect(openGcm(dek, iv, Buffer.concat([blobOfA.subarray(0, HEADER_BYTES), NO_CONTEXT]), sealed)).toEqual(plaintext)

    const rewritten = Buffer.concat([blobOfA.subarray(0, 5), b.kid, b.mid, blobOfA.subarray(54)])
    const onlyKid = Buffer.concat([blobOfA.subarray(0, 5), b.kid, blobOfA.subarray(22)])
    const attempts = [blobOfA, rewritten, onlyKid].map(each => decrypt(b, each))
    for (const answer of await settled(attempts)) expect(answer).toEqual(INVALID)
    const back = await encrypt(b, plaintext)
    await expect(decrypt(a, back)).rejects.toMatchObject(INVALID)
  })

  it('are AES-256-GCM under the DEK that derivation.ts says, with the AAD that ciphertext.ts says', async () => {
    const key = await makeKey()
    const plaintext = randomBytes(100)
    const blob = await encrypt(key, plaintext, CONTEXT)
    const [nonce, iv, sealed] = [blob.subarray(54, 70), blob.subarray(70, 82), blob.subarray(82)]
    const dek = await deriveAsPinHolder(key, nonce)
    expect(openGcm(dek, iv, Buffer.concat([blob.subarray(0, 70), CONTEXT]), sealed)).toEqual(plaintext)
  })

  it('derive the DEK as node:crypto does it outside of a token', async () => {
    const hbk = randomBytes(32)
    const key = await plant(hbk, await makeKey())
    const plaintext = randomBytes(33)
    const blob = await encrypt(key, plaintext, CONTEXT)
    const { nonce, iv, sealed } = parseCiphertext(blob)
    const aad = Buffer.concat([blob.subarray(0, HEADER_BYTES), CONTEXT])
    expect(openGcm(hsm.derive(hbk, 'data', nonce, key), iv, aad, sealed)).toEqual(plaintext)
    expect(() => openGcm(hsm.derive(hbk, 'identity', nonce, key), iv, aad, sealed)).toThrow()
  })
})

describe('generateDataKey', () => {
  it.each([1, 16, 32, 1_024])('makes %i bytes and their ciphertext', async lengthBytes => {
    const key = await makeKey()
    const args = { ekt: key.ekt, lengthBytes, contextHash: CONTEXT, plaintextWanted: true }
    const { plaintext, blob } = await left.call('generateDataKey', args)
    expect(plaintext).toHaveLength(lengthBytes)
    expect(await decrypt(key, Buffer.from(blob), CONTEXT)).toEqual(plaintext)
  })

  it('keeps the plaintext in the host when it is not wanted', async () => {
    const key = await makeKey()
    const args = { ekt: key.ekt, lengthBytes: 32, contextHash: NO_CONTEXT, plaintextWanted: false }
    const { plaintext, blob } = await left.call('generateDataKey', args)
    expect(plaintext).toHaveLength(0)
    expect(await decrypt(key, Buffer.from(blob))).toHaveLength(32)
  })

  it.each([0, 1_025])('refuses %i bytes', async lengthBytes => {
    const args = { lengthBytes, contextHash: NO_CONTEXT, plaintextWanted: true }
    const call = left.call('generateDataKey', { ekt: (await makeKey()).ekt, ...args })
    await expect(call).rejects.toMatchObject({ kind: 'input', reason: 'length out of range' })
  })
})

describe('reEncrypt', () => {
  const request = (source: MadeKey, blob: Buffer, destination: MadeKey): Args<'reEncrypt'> => ({
    ...{ source: source.ekt, blob, sourceContextHash: NO_CONTEXT },
    ...{ destination: destination.ekt, destinationContextHash: CONTEXT },
  })

  it('moves a ciphertext to another key and context', async () => {
    const [source, destination] = [await makeKey(), await makeKey()]
    const plaintext = randomBytes(4_096)
    const { blob } = await left.call('reEncrypt', request(source, await encrypt(source, plaintext), destination))
    const moved = Buffer.from(blob)
    expect(await decrypt(destination, moved, CONTEXT)).toEqual(plaintext)
    await expect(decrypt(source, moved, CONTEXT)).rejects.toMatchObject(INVALID)
    await expect(decrypt(destination, moved)).rejects.toMatchObject(INVALID)
  })

  it('may stay with the same key', async () => {
    const key = await makeKey()
    const { blob } = await right.call('reEncrypt', request(key, await encrypt(key, Buffer.from('same')), key))
    expect(await decrypt(key, Buffer.from(blob), CONTEXT)).toEqual(Buffer.from('same'))
  })

  it('refuses what decrypt refuses', async () => {
    const [source, destination] = [await makeKey(), await makeKey()]
    const blob = flipBit(await encrypt(source, Buffer.from('x')), 700)
    await expect(left.call('reEncrypt', request(source, blob, destination))).rejects.toMatchObject(INVALID)
    const foreign = await encrypt(destination, Buffer.from('x'))
    await expect(left.call('reEncrypt', request(source, foreign, destination))).rejects.toMatchObject(INVALID)
  })
})

describe('generateRandom', () => {
  it.each([1, 32, 1_024])('gives %i bytes, others each time', async lengthBytes => {
    const draw = async () => Buffer.from((await left.call('generateRandom', { lengthBytes })).random)
    const drawn = await draw()
    expect(drawn).toHaveLength(lengthBytes)
    if (lengthBytes > 1) expect(await draw()).not.toEqual(drawn)
  })

  it.each([0, 1_025])('refuses %i bytes', async lengthBytes => {
    await expect(left.call('generateRandom', { lengthBytes })).rejects.toMatchObject({ kind: 'input' })
  })
})

describe('generateMac', () => {
  it.each(Object.entries(MAC_BYTES))('makes the MAC of %s', async (keySpec, length) => {
    const key = await makeKey({ keySpec, keyUsage: 'GENERATE_VERIFY_MAC' })
    const mac = async (message: Buffer, pool = left) =>
      Buffer.from((await pool.call('generateMac', { ekt: key.ekt, message })).mac)
    const message = randomBytes(4_096)
    const made = await mac(message)
    expect(made).toHaveLength(length)
    expect(await mac(message, right)).toEqual(made)
    expect(await mac(flipBit(message, 9))).not.toEqual(made)
  })

  it.each([224, 256, 384, 512])('is RFC 2104 with the HBK, by SHA-%i', async bits => {
    const hbk = randomBytes(bits / 8)
    const { ekt } = await plant(hbk, await makeKey(hmacOf(bits)))
    for (const message of [Buffer.from('a message'), randomBytes(4_096)]) {
      const { mac } = await left.call('generateMac', { ekt, message })
      expect(mac).toEqual(createHmac(`sha${bits}`, hbk).update(message).digest())
    }
  })
})

describe('secrets of access keys', () => {
  const owner = { accessKeyId: 'AKIAIOSFODNN7EXAMPLE', principalId: 'AIDAEXAMPLE', account: ACCOUNT }
  const scope = { date: '20261122', region: REGION, service: 'kms' }
  let daemonKey: MadeKey
  let secret: string
  let sealed: Buffer

  beforeAll(async () => {
    daemonKey = await makeKey(IDENTITY)
    const made = await left.call('createAccessKeySecret', { ekt: daemonKey.ekt, ...owner })
    secret = made.secret.toString('ascii')
    sealed = Buffer.from(made.sealed)
  })

  const open = (changes: Partial<Args<'openSigningKey'>> = {}, pool = left) =>
    pool.call('openSigningKey', { ekt: daemonKey.ekt, sealed, ...owner, ...scope, ...changes })

  it('are 40 characters of base64, and sealed', () => {
    expect(secret).toMatch(/^[A-Za-z0-9+/]{40}$/)
    expect(sealed.includes(secret)).toBe(false)
  })

  it('give the SigV4 signing key of the day, region and service that was asked for', async () => {
    const expected = [scope.date, scope.region, scope.service, 'aws4_request'].reduce(
      (key, part) => createHmac('sha256', key).update(part).digest(),
      Buffer.from(`AWS4${secret}`),
    )
    expect((await open()).signingKey).toEqual(expected)
    expect((await open({}, right)).signingKey).toEqual(expected)
    for (const change of [{ date: '20261123' }, { region: 'on-prem-2' }, { service: 'sts' }])
      expect((await open(change)).signingKey).not.toEqual(expected)
  })

  it.each([
    { accessKeyId: 'AKIAIOSFODNN7EXAMPLF' },
    { principalId: 'AIDAEXAMPLF' },
    { account: '000000000002' },
    { accessKeyId: 'AKIAIOSFODNN7EXAMPLEA', principalId: 'IDAEXAMPLE' },
  ])('do not open for another owner: %p', async change => {
    await expect(open(change)).rejects.toMatchObject({ name: 'HsmFault' })
  })

  it('do not open with any bit flipped', async () => {
    const attempts = Array.from({ length: sealed.length * 8 }, (_, bit) => open({ sealed: flipBit(sealed, bit) }))
    for (const answer of await settled(attempts))
      expect(answer).toMatchObject({ kind: expect.stringMatching(/input|key/) })
  })

  it('are sealed under a label of their own', async () => {
    const hbk = randomBytes(32)
    const key = await plant(hbk, await makeKey(IDENTITY))
    const { ekt } = key
    const made = await left.call('createAccessKeySecret', { ekt, ...owner })
    const parts = decodeSealedSecret(Buffer.from(made.sealed))
    const aad = sealedSecretAad(parts, owner)
    const dek = hsm.derive(hbk, 'identity', parts.nonce, key)
    expect(openGcm(dek, parts.iv, aad, parts.sealed)).toEqual(made.secret)
    expect(() => openGcm(hsm.derive(hbk, 'data', parts.nonce, key), parts.iv, aad, parts.sealed)).toThrow()
  })

  it('do not open under another HBK, whatever the header says', async () => {
    const other = await makeKey(IDENTITY)
    const moved = encodeSealedSecret({ ...decodeSealedSecret(sealed), mid: other.mid })
    await expect(open({ ekt: other.ekt })).rejects.toMatchObject({ kind: 'key' })
    await expect(open({ ekt: other.ekt, sealed: moved })).rejects.toMatchObject({ name: 'HsmFault' })
  })
})

describe('sessions', () => {
  const SESSION = { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'SESSION' }
  const accessKeyId = 'ASIAIOSFODNN7EXAMPLE'
  const scope = { date: '20261122', region: REGION, service: 'kms' }
  const terms = Buffer.from('what the service says of the session')
  let sessionKey: MadeKey
  let made: { secret: Buffer; sealed: Buffer }

  beforeAll(async () => {
    sessionKey = await makeKey(SESSION)
    const { secret, sealed } = await left.call('sealSession', { ekt: sessionKey.ekt, accessKeyId, terms })
    made = { secret: Buffer.from(secret), sealed: Buffer.from(sealed) }
  })

  const open = (changes: Partial<Args<'openSession'>> = {}, pool = left) =>
    pool.call('openSession', { ekt: sessionKey.ekt, sealed: made.sealed, accessKeyId, ...scope, ...changes })
  const refused = { kind: 'input', reason: 'not a session of this access key' }

  it('give their terms and a signing key on every token, and their secret to nobody', async () => {
    expect(made.secret.toString()).toMatch(/^[A-Za-z0-9+/]{40}$/)
    let key: Buffer = Buffer.from(`AWS4${made.secret}`)
    for (const part of [...Object.values(scope), 'aws4_request']) key = createHmac('sha256', key).update(part).digest()
    for (const pool of [left, right]) {
      const opened = await open({}, pool)
      expect(Buffer.from(opened.signingKey)).toEqual(key)
      expect(Buffer.from(opened.terms)).toEqual(terms)
    }
    expect(Buffer.from((await open({ service: 'sts' })).signingKey)).not.toEqual(key)
  })

  it('do not open for another access key, with any byte changed, or cut', async () => {
    await expect(open({ accessKeyId: 'ASIAIOSFODNN7ANOTHER' })).rejects.toMatchObject(refused)
    for (let at = 0; at < made.sealed.length; at++) {
      const sealed = Buffer.from(made.sealed)
      sealed[at]! ^= 1 << (at % 8)
      await expect(open({ sealed })).rejects.toMatchObject({ kind: 'input' })
    }
    for (const length of [0, 1, 61, 76]) {
      await expect(open({ sealed: made.sealed.subarray(0, length) })).rejects.toMatchObject(refused)
    }
  })

  it('have an HBK of their own (24)', async () => {
    const identityKey = await makeKey(IDENTITY)
    const dataKey = await makeKey(SYMMETRIC)
    for (const { ekt } of [identityKey, dataKey]) {
      await expect(open({ ekt })).rejects.toMatchObject(OTHER_PURPOSE)
      await expect(left.call('sealSession', { ekt, accessKeyId, terms })).rejects.toMatchObject(OTHER_PURPOSE)
    }
    await expect(open({ ekt: (await makeKey(SESSION)).ekt })).rejects.toMatchObject(refused)
    const plaintext = Buffer.from('data')
    const encrypting = left.call('encrypt', { ekt: sessionKey.ekt, plaintext, contextHash: NO_CONTEXT })
    await expect(encrypting).rejects.toMatchObject(OTHER_PURPOSE)
  })
})

describe('an EKT record', () => {
  it('is refused with any field changed, and the SPKI digest, and the MAC (7)', async () => {
    const key = await makeKey()
    const { fields, mac } = decodeEkt(key.ekt.record)
    const wrapped = Buffer.from(wrappedOf(key))
    const changes: { readonly [F in keyof EktFields]: readonly EktFields[F][] } = {
      domainId: [flipBit(fields.domainId, 0)],
      dkVersion: [2, 0],
      macVersion: [2, 0],
      region: ['on-prem-2', ''],
      account: ['000000000002'],
      kid: [kidOf(newKeyId()), flipBit(fields.kid, 7)],
      mid: [randomBytes(32)],
      keySpec: ['HMAC_256'],
      keyUsage: ['IDENTITY', 'GENERATE_VERIFY_MAC'],
      origin: ['EXTERNAL'],
      kdf: ['SP800-108-HMAC-SHA256', 'AES-CBC-DATA', ''].filter(kdf => kdf !== hsm.kdf),
      wrapScheme: ['RFC3394', 'resident'],
      tokenKeyType: ['GENERIC_SECRET', 'AES'].filter(type => type !== hsm.tokenKeyType),
      trueLength: [31, 0],
      multiRegion: [true],
      spkiDigest: [flipBit(fields.spkiDigest, 100), randomBytes(32)],
      body: [
        { kind: 'wrapped', bytes: flipBit(wrapped, 3) },
        { kind: 'wrapped', bytes: wrappedOf(await makeKey()) },
        { kind: 'resident', ckaId: Buffer.from('id'), serials: ['1'], commitment: Buffer.alloc(32) },
      ],
    }
    for (const [field, values] of Object.entries(changes)) {
      for (const value of values) {
        const { ekt } = keyOf(encodeEkt({ ...fields, [field]: value }, mac))
        const [answer] = await settled([decrypt({ ekt }, Buffer.alloc(120))])
        expect({ field, answer }).toMatchObject({ field, answer: { kind: 'key' } })
      }
    }
    for (const bit of [0, 77, 255]) {
      const { ekt } = keyOf(encodeEkt(fields, flipBit(mac, bit)))
      await expect(encrypt({ ...key, ekt }, Buffer.from('x'))).rejects.toMatchObject({ kind: 'key' })
    }
    await encrypt(key, Buffer.from('x'))
  })

  it('is refused when its bytes are cut or follow each other', async () => {
    const { ekt } = await makeKey()
    const { record } = ekt
    const records = [
      record.subarray(0, -1),
      Buffer.concat([record, Buffer.alloc(1)]),
      record.subarray(0, 4),
      randomBytes(300),
    ]
    for (const each of records) {
      const reference = { record: each, digest: hash('sha256', each, 'buffer') }
      await expect(
        left.call('encrypt', { ekt: reference, plaintext: Buffer.from('x'), contextHash: NO_CONTEXT }),
      ).rejects.toMatchObject({ kind: 'key' })
    }
  })

  it('of one kind does not serve for another (24)', async () => {
    const [data, identity, mac] = [await makeKey(SYMMETRIC), await makeKey(IDENTITY), await makeKey(hmacOf(256))]
    const blob = await encrypt(data, Buffer.from('x'))
    const message = Buffer.from('message')
    const owner = { accessKeyId: 'AKIA', principalId: 'AIDA', account: ACCOUNT }
    const { sealed } = await left.call('createAccessKeySecret', { ekt: identity.ekt, ...owner })
    const scope = { date: '20261122', region: REGION, service: 'kms' }
    const dataKey = { lengthBytes: 32, contextHash: NO_CONTEXT, plaintextWanted: true }
    const contexts = { sourceContextHash: NO_CONTEXT, destinationContextHash: NO_CONTEXT }
    const attempts = [
      ...[identity, mac].flatMap(({ ekt }) => [
        left.call('encrypt', { ekt, plaintext: message, contextHash: NO_CONTEXT }),
        left.call('decrypt', { ekt, blob, contextHash: NO_CONTEXT }),
        left.call('generateDataKey', { ekt, ...dataKey }),
        left.call('reEncrypt', { source: data.ekt, blob, destination: ekt, ...contexts }),
        left.call('reEncrypt', { source: ekt, blob, destination: data.ekt, ...contexts }),
      ]),
      ...[data, identity].map(({ ekt }) => left.call('generateMac', { ekt, message })),
      ...[data, mac].flatMap(({ ekt }) => [
        left.call('createAccessKeySecret', { ekt, ...owner }),
        left.call('openSigningKey', { ekt, sealed, ...owner, ...scope }),
      ]),
    ]
    for (const answer of await settled(attempts)) expect(answer).toEqual(OTHER_PURPOSE)
  })
})

describe('tokens of one domain', () => {
  it('read what the other has written, records and ciphertexts', async () => {
    const [onLeft, onRight] = [await makeKey(SYMMETRIC, left), await makeKey(SYMMETRIC, right)]
    const plaintext = randomBytes(64)
    for (const key of [onLeft, onRight]) {
      const [fromLeft, fromRight] = [
        await encrypt(key, plaintext, CONTEXT, left),
        await encrypt(key, plaintext, CONTEXT, right),
      ]
      expect(await decrypt(key, fromLeft, CONTEXT, right)).toEqual(plaintext)
      expect(await decrypt(key, fromRight, CONTEXT, left)).toEqual(plaintext)
    }
  })
})

describe('a host', () => {
  const request = ({ ekt }: MadeKey): Args<'encrypt'> => ({ ekt, plaintext: Buffer.from('x'), contextHash: NO_CONTEXT })
  const failed = (reason: string) => ({ type: 'failed', kind: 'token', reason, retry: true })
  let host: Host

  beforeAll(async () => {
    const started = await Host.start(tokens.configurationOf(tokens.locations[0]!, { cachedHbks: HBKS_MIN }))
    host = started.host
    expect(started.event).toMatchObject({
      type: 'ready',
      profile: {
        label: 'left',
        ...hsm.offers,
        gcm: 'token',
        gcmIv: 'caller',
      },
    })
  })

  afterAll(() => host[Symbol.asyncDispose]())

  const status = async () => {
    const answer = await host.send('status', {})
    return answer.outcome === 'result' ? answer.result : undefined
  }

  it('asks for a record that it does not hold, and for none that it holds', async () => {
    const key = await makeKey()
    expect(await host.send('encrypt', request(key), 'digests')).toEqual({ outcome: 'need-record' })
    expect(await host.send('encrypt', request(key))).toMatchObject({ outcome: 'result' })
    expect(await host.send('encrypt', request(key), 'digests')).toMatchObject({ outcome: 'result' })
  })

  it('lets go of an HBK when it is told to', async () => {
    const key = await makeKey()
    await host.send('encrypt', request(key))
    const { cachedHbks } = (await status())!
    expect(await host.send('evict', { digest: key.ekt.digest })).toMatchObject({ outcome: 'result' })
    expect((await status())?.cachedHbks).toBe(cachedHbks - 1)
    expect(await host.send('encrypt', request(key), 'digests')).toEqual({ outcome: 'need-record' })
    expect(await host.send('evict', { digest: key.ekt.digest })).toMatchObject({ outcome: 'result' })
  })

  it('keeps as many HBKs as it may, and lets the one go that was used longest ago', async () => {
    const keys = await Promise.all(Array.from({ length: HBKS_MIN + 1 }, () => makeKey()))
    const [first, second, ...others] = keys
    for (const key of keys.slice(0, HBKS_MIN)) await host.send('encrypt', request(key))
    await host.send('encrypt', request(first!), 'digests')
    await host.send('encrypt', request(others.at(-1)!))
    expect((await status())?.cachedHbks).toBe(HBKS_MIN)
    expect(await host.send('encrypt', request(second!), 'digests')).toEqual({ outcome: 'need-record' })
    for (const key of [first!, ...others])
      expect(await host.send('encrypt', request(key), 'digests')).toMatchObject({ outcome: 'result' })
    expect(await host.send('encrypt', request(second!))).toMatchObject({ outcome: 'result' })
  })

  it('asks for both records of a reEncrypt before it opens anything', async () => {
    const [source, destination] = [await makeKey(), await makeKey()]
    const contexts = { sourceContextHash: NO_CONTEXT, destinationContextHash: NO_CONTEXT }
    const bad = flipBit(await encrypt(source, Buffer.from('x')), 700)
    const args = { source: source.ekt, blob: bad, destination: destination.ekt, ...contexts }
    expect(await host.send('reEncrypt', args, ekt => ekt === destination.ekt)).toEqual({ outcome: 'need-record' })
    expect(await host.send('reEncrypt', args)).toMatchObject({ outcome: 'fault', fault: INVALID })
  })

  it('never uses A for what belongs to B (11)', async () => {
    const [a, b] = [await makeKey(), await makeKey()]
    const blobOfB = await encrypt(b, Buffer.from('x'))
    await host.send('encrypt', request(a))
    const decryptWith = (ekt: EktReference, bare: 'records' | 'digests') =>
      host.send('decrypt', { ekt, blob: blobOfB, contextHash: NO_CONTEXT }, bare)
    // The digest of A, with B's ciphertext.
    expect(await decryptWith({ digest: a.ekt.digest, record: Buffer.alloc(0) }, 'digests')).toMatchObject({
      outcome: 'fault',
      fault: INVALID,
    })
    // The digest of A, with B's record: the record decides, and nothing of it is filed under A's digest.
    expect(await decryptWith({ digest: a.ekt.digest, record: b.ekt.record }, 'records')).toMatchObject({
      outcome: 'result',
    })
    const again = await host.send('encrypt', request(a), 'digests')
    expect(again.outcome === 'result' && parseCiphertext(again.result.blob).kid).toEqual(a.kid)
  })

  it('never uses A when its record was changed after a hit (11)', async () => {
    const a = await makeKey()
    await host.send('encrypt', request(a))
    const { fields, mac } = decodeEkt(a.ekt.record)
    const changed = encodeEkt({ ...fields, account: '000000000002' }, mac)
    const answer = await host.send('encrypt', request({ ...a, ekt: { digest: a.ekt.digest, record: changed } }))
    expect(answer).toMatchObject({ outcome: 'fault', fault: { kind: 'key' } })
  })

  it('verifies a record again when its time is over', async () => {
    const limits = { hbkLifetimeMs: 50 }
    const started = await Host.start(tokens.configurationOf(tokens.locations[1] ?? tokens.locations[0]!, limits))
    await using shortLived = started.host
    const key = await makeKey()
    await shortLived.send('encrypt', request(key))
    await new Promise(resolve => setTimeout(resolve, limits.hbkLifetimeMs + 20))
    expect(await shortLived.send('encrypt', request(key), 'digests')).toEqual({ outcome: 'need-record' })
    expect(await shortLived.send('encrypt', request(key))).toMatchObject({ outcome: 'result' })
    expect(await shortLived.send('status', {})).toMatchObject({ result: { cachedHbks: 1 } })
  })

  it('leaves no object in the token but the HBKs that it keeps', async () => {
    const module = makeFaulty(tokens.folder, 'counted', buildFaultyModule(tokens.folder), tokens.locations[0]!)
    const limits = { cachedHbks: HBKS_MIN }
    const started = await Host.start(tokens.configurationOf(module.location, limits))
    await using counted = started.host
    expect(module.objects()).toBe(0)
    const [key, ...others] = await Promise.all(Array.from({ length: HBKS_MIN + 3 }, () => makeKey()))
    const { ekt } = key!
    for (let round = 0; round < 10; round++) {
      const sealed = await counted.send('encrypt', request(key!))
      const blob = Buffer.from(sealed.outcome === 'result' ? sealed.result.blob : [])
      const contexts = { sourceContextHash: NO_CONTEXT, destinationContextHash: NO_CONTEXT }
      const args = { lengthBytes: 32, contextHash: NO_CONTEXT, plaintextWanted: true }
      const answers = [
        await counted.send('decrypt', { ekt, blob, contextHash: NO_CONTEXT }),
        await counted.send('generateDataKey', { ekt, ...args }),
        await counted.send('reEncrypt', { source: ekt, blob, destination: ekt, ...contexts }),
        await counted.send('createBackingKey', { account: ACCOUNT, kid: key!.kid, ...SYMMETRIC }),
        await counted.send('decrypt', { ekt, blob: flipBit(blob, 700), contextHash: NO_CONTEXT }),
      ]
      expect(answers.map(({ outcome }) => outcome)).toEqual(['result', 'result', 'result', 'result', 'fault'])
    }
    expect(module.objects()).toBe(1)
    await counted.send('evict', { digest: ekt.digest })
    expect(module.objects()).toBe(0)
    for (const other of others) await counted.send('encrypt', request(other))
    expect(module.objects()).toBe(HBKS_MIN)
  })

  it('does not serve a domain that its token does not hold', async () => {
    const { description, locations } = tokens
    const [first] = description.domainKeys
    const otherId = { ...description, id: 'f'.repeat(32) }
    const otherCheck = { ...description, domainKeys: [{ ...first!, checkValue: '0'.repeat(16) }] }
    const start = async (domain: typeof description) => {
      const { host: other, event } = await Host.start(tokens.configurationOf(locations[0]!, { domain }))
      await other[Symbol.asyncDispose]()
      return event
    }
    expect(await start(otherId)).toEqual(failed(`the token does not hold strongroom/dk.1.gen of domain ${otherId.id}`))
    expect(await start(otherCheck)).toEqual(
      failed(
        `domain key 1 has check value ${first!.checkValue}, not ${'0'.repeat(16)}: the token holds another domain`,
      ),
    )
  })
})

describe('the pool', () => {
  it('sends a record again when a host has let it go', async () => {
    const pool = await tokens.startPool([tokens.locations[0]!], { cachedHbks: HBKS_MIN })
    try {
      const keys = await Promise.all(Array.from({ length: 3 * HBKS_MIN }, () => makeKey()))
      for (let round = 0; round < 2; round++) {
        for (const key of keys) {
          const plaintext = randomBytes(8)
          expect(await decrypt(key, await encrypt(key, plaintext, CONTEXT, pool), CONTEXT, pool)).toEqual(plaintext)
        }
      }
      const [key] = keys
      await encrypt(key!, Buffer.from('x'), CONTEXT, pool)
      await pool.evict(key!.ekt.digest)
      await encrypt(key!, Buffer.from('x'), CONTEXT, pool)
    } finally {
      await pool.close()
    }
  })

  it('does not lose a token to ten thousand bad ciphertexts (16)', async () => {
    const key = await makeKey()
    const blob = flipBit(await encrypt(key, randomBytes(16)), 700)
    const { pids } = left.members[0]!
    for (let batch = 0; batch < 10; batch++) {
      const answers = await settled(Array.from({ length: 1_000 }, () => decrypt(key, blob)))
      expect(answers.every(answer => JSON.stringify(answer) === JSON.stringify(INVALID))).toBe(true)
    }
    expect(left.members).toMatchObject([{ state: 'healthy', pids, restarts: 0 }])
  })
})

/** A second record around the wrapped bytes of a key, signed as only a PIN holder can. */
async function forgeRecord(key: MadeKey, changes: Partial<EktFields>): Promise<MadeKey> {
  const fields = { ...key.fields, ...changes }
  const input = ektMacInput(fields)
  const mac = await asPinHolder(tokens.locations[0]!, 'forgeMac', { domain: tokens.description, input })
  return keyOf(encodeEkt(fields, Buffer.from(mac)))
}

/** A record like that of `key` around an HBK of known bytes, made as only a PIN holder can. */
async function plant(hbk: Buffer, key: MadeKey): Promise<MadeKey> {
  const { locations, description: domain } = tokens
  const wrapped = await asPinHolder(locations[0]!, 'wrapKnown', { domain, value: hbk })
  return forgeRecord(key, { body: { kind: 'wrapped', bytes: Buffer.from(wrapped) } })
}

/** The DEK of a nonce, and of a key's names where they count, derived in the token and read as only a PIN holder can. */
async function deriveAsPinHolder(key: MadeKey, nonce: Buffer, names: KeyNames = key): Promise<Buffer> {
  const data = hsm.derivationInput('data', nonce, names)
  const args = { domain: tokens.description, wrapped: wrappedOf(key), suite: hsm.suite, data }
  return Buffer.from(await asPinHolder(tokens.locations[0]!, 'readDerived', args))
}

function openGcm(key: Buffer, iv: Buffer, aad: Buffer, sealed: Buffer): Buffer {
  const decipher = createDecipheriv('aes-256-gcm', key, iv).setAAD(aad).setAuthTag(sealed.subarray(-16))
  return Buffer.concat([decipher.update(sealed.subarray(0, -16)), decipher.final()])
}

describe('signCheckpoint', () => {
  const claims = (fields: { chain?: Buffer; seq?: number; head?: Buffer; timeMs?: number } = {}) => ({
    ...{ chain: randomBytes(16), seq: 5, head: randomBytes(32), timeMs: 1_000, previous: randomBytes(32) },
    ...{ epoch: 3, anchor: randomBytes(32), others: [{ chain: randomBytes(16), seq: 1, head: randomBytes(32) }] },
    ...fields,
  })
  const copies = ({ body, signature }: { body: Buffer; signature: Buffer }) => ({
    ...{ body: Buffer.from(body), signature: Buffer.from(signature) },
  })

  it('signs what it lays out itself with the audit key of the token', async () => {
    const asked = claims()
    const { body, signature } = copies(await left.call('signCheckpoint', asked))
    const publicKey = tokens.domain.tokens[0]!.auditPublicKey
    expect(isSignedBy(publicKey, body, signature)).toBe(true)
    const checkpoint = readCheckpoint(body)
    expect(checkpoint).toMatchObject({
      head: { chain: asked.chain.toString('hex'), seq: 5, hash: asked.head.toString('hex') },
      ...{ timeMs: 1_000, previous: asked.previous, anchor: { epoch: 3, digest: asked.anchor } },
      ...{ domainId: Buffer.from(tokens.domain.id, 'hex'), auditKey: auditKeyId(publicKey) },
    })
    expect(checkpoint.others).toHaveLength(1)
  })

  it('says how much the host has done since', async () => {
    const before = readCheckpoint(copies(await left.call('signCheckpoint', claims())).body)
    const key = await makeKey()
    for (let count = 0; count < 5; count += 1) await encrypt(key, Buffer.from('x'))
    const after = readCheckpoint(copies(await left.call('signCheckpoint', claims())).body)
    expect(after.lane).toEqual(before.lane)
    expect(after.uses - before.uses).toBeGreaterThanOrEqual(5)
    expect(after.commands - before.commands).toBeGreaterThanOrEqual(7)
  })

  it('signs neither two heads for one event, nor backwards', async () => {
    const first = claims()
    await left.call('signCheckpoint', first)
    const refused = { name: 'HsmFault', kind: 'input' }
    for (const contradiction of [{ head: randomBytes(32) }, { seq: 4 }, { timeMs: 999 }]) {
      await expect(left.call('signCheckpoint', { ...first, ...contradiction })).rejects.toMatchObject(refused)
    }
    await expect(left.call('signCheckpoint', { ...first, seq: 6, head: randomBytes(32) })).resolves.toBeDefined()
  })
})
