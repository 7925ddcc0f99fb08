/** Imported material over time and between the worlds: a daemon in this process, with a clock that can be moved. */
import { createCipheriv, createDecipheriv, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { AlgorithmSpec, KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { DAY_MS, HOUR_MS } from '../../src/base/clock.ts'
import { contextHash } from '../../src/formats/aad.ts'
import { HEADER_BYTES } from '../../src/formats/ciphertext.ts'
import { isResidentCkaIdOf } from '../../src/formats/resident-key.ts'
import { kidOf } from '../../src/model/key-id.ts'
import { type ComposedDaemon, composeDaemon } from '../support/composed-daemon.ts'
import { importMaterial, pkcs8 } from '../support/import.ts'
import { type Instance, makeInstance } from '../support/instance.ts'
import { waitUntil } from '../support/processes.ts'
import { makeSalamander } from '../support/salamander.ts'
import { asPinHolder, REGION } from '../support/tokens.ts'

const Plaintext = Buffer.from('attack at dawn')
const RARELY_MS = 86_400_000
const READY_MS = 60_000
const ED25519 = { KeySpec: 'ECC_NIST_EDWARDS25519', KeyUsage: 'SIGN_VERIFY', Origin: 'EXTERNAL' } as const

let instance: Instance
let daemon: ComposedDaemon
const clock = { offsetMs: 0 }

beforeAll(async () => {
  instance = await makeInstance(['a'])
  daemon = await start({})
}, 60_000)

afterAll(async () => {
  await daemon?.[Symbol.asyncDispose]()
  instance?.remove()
})

let initialised = false
async function start(hsm: object): Promise<ComposedDaemon> {
  const path = instance.configure(['a'], { jobs: { expiryIntervalMs: RARELY_MS }, hsm })
  if (!initialised) expect(await instance.init()).toMatchObject({ code: 0 })
  initialised = true
  return composeDaemon(instance, path, { clock })
}

/** Every call has a client of its own: the SDK sets a client's clock by its first answer. */
function kms(): KMS {
  return new Proxy({} as KMS, {
    get: (_, operation: keyof KMS) => (input: object) =>
      (daemon.client()[operation] as (input: object) => Promise<unknown>)(input),
  })
}

async function makeExternal(): Promise<string> {
  return (await kms().createKey({ Origin: 'EXTERNAL' })).KeyMetadata!.KeyId!
}

const stateOf = async (KeyId: string) => (await kms().describeKey({ KeyId })).KeyMetadata!.KeyState
const inAnHour = () => new Date(Date.now() + clock.offsetMs + HOUR_MS)

describe('imported material that expires', () => {
  it('is deleted when its time has come, and the key waits for it', async () => {
    const KeyId = await makeExternal()
    const material = randomBytes(32)
    await importMaterial(kms(), KeyId, material, { ValidTo: inAnHour() })
    const { CiphertextBlob } = await kms().encrypt({ KeyId, Plaintext })
    expect(await daemon.expireMaterial()).toBe(0)
    clock.offsetMs += HOUR_MS
    expect(await daemon.expireMaterial()).toBe(1)
    expect(await daemon.expireMaterial()).toBe(0)
    expect(await stateOf(KeyId)).toBe('PendingImport')
    await expect(kms().decrypt({ CiphertextBlob })).rejects.toMatchObject({ name: 'KMSInvalidStateException' })
    await importMaterial(kms(), KeyId, material)
    expect(Buffer.from((await kms().decrypt({ CiphertextBlob })).Plaintext!)).toEqual(Plaintext)
    clock.offsetMs += 400 * DAY_MS
    expect(await daemon.expireMaterial()).toBe(0)
    expect(await stateOf(KeyId)).toBe('Enabled')
  })

  it('is gone without a trace when it was pending, and takes the key along when it was not current', async () => {
    const KeyId = await makeExternal()
    const NEW = { ImportType: 'NEW_KEY_MATERIAL' } as const
    await importMaterial(kms(), KeyId, randomBytes(32), { ValidTo: inAnHour() })
    await importMaterial(kms(), KeyId, randomBytes(32), { ...NEW, ValidTo: new Date(inAnHour().getTime() - 60_000) })
    clock.offsetMs += HOUR_MS - 30_000
    await daemon.expireMaterial()
    const list = async () =>
      (await kms().listKeyRotations({ KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' })).Rotations!
    expect((await list()).map(({ KeyMaterialState }) => KeyMaterialState)).toEqual(['CURRENT'])
    expect(await stateOf(KeyId)).toBe('Enabled')
    await importMaterial(kms(), KeyId, randomBytes(32), NEW)
    await kms().rotateKeyOnDemand({ KeyId })
    clock.offsetMs += HOUR_MS
    await daemon.expireMaterial()
    expect((await list()).map(({ KeyMaterialState, ImportState }) => `${KeyMaterialState} ${ImportState}`)).toEqual([
      'NON_CURRENT PENDING_IMPORT',
      'CURRENT IMPORTED',
    ])
    expect(await stateOf(KeyId)).toBe('PendingImport')
  })
})

describe('an import token', () => {
  const under = { WrappingAlgorithm: 'RSAES_OAEP_SHA_1', WrappingKeySpec: 'RSA_2048' } as const

  it('ends after 24 hours, and its wrapping key is deleted then', async () => {
    const KeyId = await makeExternal()
    const parameters = await kms().getParametersForImport({ KeyId, ...under })
    const use = () => importMaterial(kms(), KeyId, randomBytes(32), {}, under.WrappingAlgorithm, parameters)
    clock.offsetMs += 24 * HOUR_MS
    await expect(use()).rejects.toMatchObject({ name: 'ExpiredImportTokenException' })
    await daemon.expireMaterial()
    await expect(use()).rejects.toMatchObject({ name: 'InvalidImportTokenException' })
  })
})

describe('the eleventh bad import (20)', () => {
  it('finds no wrapping key: of its record nothing is left, in the key store nor on the disk', async () => {
    const KeyId = await makeExternal()
    const wrapping = { WrappingAlgorithm: 'RSAES_OAEP_SHA_256', WrappingKeySpec: 'RSA_2048' } as const
    const { ImportToken } = await kms().getParametersForImport({ KeyId, ...wrapping })
    const record = ektsOf('import_keys', KeyId)[0]!.subarray(-60, -32)
    const onDisk = () => storeFiles().some(file => file.includes(record))
    expect(onDisk()).toBe(true)
    const outcomes: string[] = []
    for (let tries = 1; tries <= 11; tries += 1) {
      const EncryptedKeyMaterial = randomBytes(256)
      const terms = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const
      const call = kms().importKeyMaterial({ KeyId, ImportToken, EncryptedKeyMaterial, ...terms })
      outcomes.push(await call.then(String, ({ name }: Error) => name))
    }
    expect(outcomes).toEqual([...Array(10).fill('InvalidCiphertextException'), 'InvalidImportTokenException'])
    expect([ektsOf('import_keys', KeyId), onDisk()]).toEqual([[], false])
  })
})

describe('a ciphertext that opens under two imported materials (6)', () => {
  it('is refused under either', async () => {
    const materials = [randomBytes(32), randomBytes(32)] as const
    const KeyId = await makeExternal()
    await importMaterial(kms(), KeyId, materials[0])
    await importMaterial(kms(), KeyId, materials[1], { ImportType: 'NEW_KEY_MATERIAL' })
    await kms().rotateKeyOnDemand({ KeyId })
    const { CiphertextBlob } = await kms().encrypt({ KeyId, Plaintext })
    const { Rotations } = await kms().listKeyRotations({ KeyId, IncludeKeyMaterial: 'ALL_KEY_MATERIAL' })
    const mids = Rotations!.map(({ KeyMaterialId }) => Buffer.from(KeyMaterialId!, 'hex'))
    const blob = Buffer.from(CiphertextBlob!)
    const nonce = blob.subarray(54, 70)
    const headers = mids.map(mid => Buffer.concat([blob.subarray(0, 22), mid, nonce]))
    const aads = headers.map(header => Buffer.concat([header.subarray(0, HEADER_BYTES), contextHash(new Map())]))
    const deks: [Buffer, Buffer] = [suite1Dek(materials[0], nonce), suite1Dek(materials[1], nonce)]
    const iv = randomBytes(12)
    const opensUnder = (dek: Buffer, aad: Buffer, { ciphertext, tag }: { ciphertext: Buffer; tag: Buffer }) => {
      const decipher = createDecipheriv('aes-256-gcm', dek, iv).setAAD(aad).setAuthTag(tag)
      decipher.update(ciphertext)
      decipher.final()
    }
    const outcomeOf = ({ ciphertext, tag }: { ciphertext: Buffer; tag: Buffer }) =>
      Promise.all(
        headers.map(header =>
          kms()
            .decrypt({ CiphertextBlob: Buffer.concat([header, iv, ciphertext, tag]) })
            .then(
              () => 'opened',
              ({ name }) => name,
            ),
        ),
      )
    // An AAD that names no material, as a format without commitment has: it opens under both keys, and under neither mid.
    const nameless = Buffer.concat([blob.subarray(0, 22), nonce, contextHash(new Map())])
    const salamander = makeSalamander(deks, iv, nameless)
    for (const dek of deks) opensUnder(dek, nameless, salamander)
    expect(await outcomeOf(salamander)).toEqual(['InvalidCiphertextException', 'InvalidCiphertextException'])
    // An AAD that names the first one: the same bytes are its message, and never the other's.
    const named = makeSalamander(deks, iv, aads[0]!)
    for (const dek of deks) opensUnder(dek, aads[0]!, named)
    expect(await outcomeOf(named)).toEqual(['opened', 'InvalidCiphertextException'])
  })
})

describe('where imports through the host are forbidden', () => {
  afterAll(async () => {
    await daemon[Symbol.asyncDispose]()
    daemon = await start({})
  })

  it('what the token does not unwrap is refused by the name of the mechanism, and the rest goes on', async () => {
    const KeyId = await makeExternal()
    await daemon[Symbol.asyncDispose]()
    daemon = await start({ importInHost: false })
    const under = (WrappingAlgorithm: AlgorithmSpec) =>
      kms().getParametersForImport({ KeyId, WrappingAlgorithm, WrappingKeySpec: 'RSA_2048' })
    await expect(under('RSAES_OAEP_SHA_256')).rejects.toMatchObject({
      name: 'UnsupportedOperationException',
      message: expect.stringContaining('CKM_RSA_PKCS_OAEP with SHA-256'),
    })
    await importMaterial(kms(), KeyId, randomBytes(32))
    expect(await stateOf(KeyId)).toBe('Enabled')
    await expect(kms().createKey(ED25519)).rejects.toMatchObject({
      name: 'UnsupportedOperationException',
      message: expect.stringContaining('(hsm.importInHost) forbids'),
    })
  })
})

describe('an imported Ed25519 key', () => {
  const Message = Buffer.from('attack at dawn')

  it('is one object of the token: none is left of material that was refused, replaced, taken away or expired', async () => {
    const KeyId = (await kms().createKey(ED25519)).KeyMetadata!.KeyId!
    const pairs = [generateKeyPairSync('ed25519'), generateKeyPairSync('ed25519')] as const
    const [material, other] = pairs.map(({ privateKey }) => pkcs8(privateKey)) as [Buffer, Buffer]
    const put = (bytes: Buffer, terms = {}) => importMaterial(kms(), KeyId, bytes, terms, 'RSAES_OAEP_SHA_256')
    const expectUsable = async () => {
      const { Signature } = await kms().sign({ KeyId, Message, SigningAlgorithm: 'ED25519_SHA_512' })
      expect(Buffer.from(Signature!)).toEqual(sign(null, Message, pairs[0].privateKey))
    }
    /** What is doomed is destroyed with the keys that are due, while its token serves. */
    const expectObjects = (count: number) =>
      waitUntil(async () => {
        await daemon.deleteDueKeys()
        return objectsOf(KeyId).length === count
      }, READY_MS)
    const before = await privateObjects()
    await put(material)
    await expectUsable()
    const [first] = objectsOf(KeyId)
    await expect(put(other)).rejects.toMatchObject({ name: 'IncorrectKeyMaterialException' })
    await expect(put(Buffer.alloc(48))).rejects.toMatchObject({ name: 'InvalidCiphertextException' })
    await expectObjects(1)
    expect(objectsOf(KeyId)).toEqual([first])
    // The same bytes again are another object.
    await put(material, { ValidTo: inAnHour() })
    await expectObjects(1)
    expect(objectsOf(KeyId)).not.toEqual([first])
    expect(await privateObjects()).toBe(before + 1)
    await expectUsable()
    // What was recorded is the key's, even if hosts could not be told of it.
    jest.spyOn(daemon.pools.get(REGION)!, 'evict').mockRejectedValueOnce(new Error('a process has ended'))
    await expect(put(material, { ValidTo: inAnHour() })).rejects.toMatchObject({ name: 'KMSInternalException' })
    await expectObjects(1)
    await expectUsable()
    clock.offsetMs += HOUR_MS
    expect(await daemon.expireMaterial()).toBe(1)
    await expectObjects(0)
    expect(await privateObjects()).toBe(before)
    expect(await stateOf(KeyId)).toBe('PendingImport')
    await put(material)
    await expectUsable()
    await kms().deleteImportedKeyMaterial({ KeyId })
    await expectObjects(0)
    expect(await privateObjects()).toBe(before)
  })
})

/** CKA_IDs of the objects that are the key's, or were. */
function objectsOf(keyId: string): string[] {
  const database = new DatabaseSync(join(instance.stateDir, 'strongroom.db'), { readOnly: true })
  try {
    const rows = database.prepare('select cka_id from resident_objects').all()
    const ids = rows.map(row => Buffer.from(row.cka_id as Uint8Array))
    return ids.filter(ckaId => isResidentCkaIdOf(ckaId, kidOf(keyId))).map(ckaId => ckaId.toString('hex'))
  } finally {
    database.close()
  }
}

/** Private HBKs as objects of the token. */
async function privateObjects(): Promise<number> {
  const labels = await asPinHolder(instance.locations.a!, 'listObjects', {})
  return labels.filter(each => each.startsWith('private strongroom/hbk/')).length
}

describe('what is left of imported material', () => {
  it('is no byte of its record, nor of the wrapping key, once it has been deleted', async () => {
    const KeyId = await makeExternal()
    await importMaterial(kms(), KeyId, randomBytes(32))
    const records = [...ektsOf('materials', KeyId), ...ektsOf('import_keys', KeyId)]
    const parts = records.map(record => record.subarray(-60, -32))
    expect(parts).toHaveLength(2)
    const found = () => storeFiles().flatMap(file => parts.map(part => file.includes(part)))
    expect(found().filter(each => each).length).toBeGreaterThanOrEqual(2)
    clock.offsetMs += DAY_MS
    await daemon.expireMaterial()
    await kms().deleteImportedKeyMaterial({ KeyId })
    expect(found()).toEqual([false, false, false, false])
  })
})

/** The EKT records of a key, as they are stored. */
function ektsOf(table: 'materials' | 'import_keys', KeyId: string): Buffer[] {
  const database = new DatabaseSync(join(instance.stateDir, 'strongroom.db'), { readOnly: true })
  try {
    const rows = database.prepare(`select ekt from ${table} where key_id = ?`).all(KeyId)
    return rows.map(({ ekt }) => Buffer.from(ekt as Uint8Array))
  } finally {
    database.close()
  }
}

function storeFiles(): Buffer[] {
  return ['strongroom.db', 'strongroom.db-wal'].map(name => readFileSync(join(instance.stateDir, name)))
}

function suite1Dek(material: Buffer, nonce: Buffer): Buffer {
  const data = Buffer.concat([Buffer.from('SRd1'), nonce, Buffer.from('strongroom:1')])
  const cipher = createCipheriv('aes-256-cbc', material, Buffer.alloc(16)).setAutoPadding(false)
  return Buffer.concat([cipher.update(data), cipher.final()])
}
