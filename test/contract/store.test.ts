/**
 * What every key store must do, whatever database is below it: one suite, run on each of them. PostgreSQL is to be one
 * more entry of BACKENDS.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { MULTI_REGION_DOMAIN } from '../../src/base/region.ts'
import { dkVersionOf } from '../../src/formats/ekt.ts'
import { groupArn, roleArn } from '../../src/model/arn.ts'
import type { KmsKey } from '../../src/model/key.ts'
import { newMultiRegionKeyId } from '../../src/model/key-id.ts'
import type { KeyUse } from '../../src/model/key-use.ts'
import type { Domain } from '../../src/store/domain.ts'
import { AlreadyStored, ChangedMeanwhile, VersionSwept } from '../../src/store/faults.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { ImportKey, Page } from '../../src/store/records.ts'
import type { Store } from '../../src/store/store.ts'
import { waitUntil } from '../support/processes.ts'
import {
  makeAccessKey,
  makeAlias,
  makeApproval,
  makeApprovalRequest,
  makeDaemonKey,
  makeDomain,
  makeEkt,
  makeGrant,
  makeIdentity,
  makeKey,
  makeManagedPolicy,
  makeMaterial,
  makeOfficer,
  makeResident,
  makeTemporaryFolder,
  SCOPE,
} from '../unit/store/records.ts'

interface Backend {
  readonly name: string
  open(folder: string): Promise<Store>
  /** Every byte that the database has on disk. A process of its own reads them, so that SQLite's locks stay. */
  bytesOnDisk(folder: string): Buffer
}

const BACKENDS: readonly Backend[] = [
  {
    name: 'SQLite',
    // On a busy machine two transactions that meet may wait for each other for long.
    open: folder => openStore({ path: join(folder, 'store.db'), lockWaitMs: 60_000 }),
    bytesOnDisk: folder =>
      execFileSync(
        'cat',
        readdirSync(folder).map(file => join(folder, file)),
        { maxBuffer: 2 ** 28 },
      ),
  },
]

const FIRST_PAGE: Page = { after: undefined, limit: 100 }
/** Longer than the hot reads take to look at what other processes have written. */
const FOREIGN_CHANGE_MS = 1_000
const NOTICE_MS = 30_000

describe.each(BACKENDS)('key store on $name', backend => {
  let folder: ReturnType<typeof makeTemporaryFolder>
  let store: Store
  let opened: Store[]

  async function open(): Promise<Store> {
    const another = await backend.open(folder.path)
    opened.push(another)
    return another
  }

  async function insertAlice() {
    const inlinePolicies = new Map([
      ['FullAccess', '{}'],
      ['Other', '{"a":1}'],
    ])
    const alice = makeIdentity('alice', { inlinePolicies, tags: new Map([['team', 'billing']]) })
    const accessKey = makeAccessKey(alice)
    await store.transaction(async tx => {
      await tx.insertAccount({ id: SCOPE.account, name: 'tenant', createdAtMs: 1 })
      await tx.insertIdentity(alice)
      await tx.insertAccessKey(accessKey)
    })
    return { alice, accessKey }
  }

  beforeEach(async () => {
    folder = makeTemporaryFolder()
    opened = []
    store = await open()
  })

  afterEach(async () => {
    for (const each of opened) await each.close()
    folder.remove()
  })

  describe('multi-Region keys', () => {
    const material = makeMaterial()
    const id = newMultiRegionKeyId()
    const related = (region: string, changes: Partial<KmsKey> = {}) =>
      makeKey({ id, region, primaryRegion: 'on-prem-1', ...changes }, [material])

    it('are one key in each region, and only the primary is due for rotation', async () => {
      const rotation = { periodDays: 90, nextAtMs: 5 }
      const [primary, replica] = [
        related('on-prem-1', { rotation, deletionWindowDays: 9 }),
        related('on-prem-2', { rotation }),
      ]
      const foreign = related('on-prem-3', { account: '000000000002' })
      await store.transaction(async tx => {
        for (const key of [primary, replica, foreign, makeKey()]) await tx.insertKey(key)
      })
      expect(await store.reader.listRegionsOfKey(SCOPE.account, id)).toEqual(['on-prem-1', 'on-prem-2'])
      expect(await store.reader.findKey(primary, id)).toEqual(primary)
      expect(await store.reader.findKey(replica, id)).toEqual(replica)
      expect(await store.reader.listKeysDueForRotation(5, 10)).toEqual([primary])
      const moved = { ...replica, primaryRegion: 'on-prem-2', generation: 2 }
      await store.transaction(tx => tx.updateKey(moved))
      expect(await store.reader.findKey(replica, id)).toEqual(moved)
    })

    it('are under the domain that regions share, and in the sweep of no region', async () => {
      const single = makeKey({}, [{ ...makeMaterial(), ekt: material.ekt }])
      await store.transaction(async tx => {
        for (const key of [single, related('on-prem-1'), related('on-prem-2')]) await tx.insertKey(key)
      })
      const version = dkVersionOf(material.ekt!.record)
      const namesUnder = async (domain: string) =>
        (await store.reader.listEkts(domain, version, undefined, 10)).map(({ primaryKey: [region, , key] }) => [
          region,
          key,
        ])
      expect(await namesUnder('on-prem-1')).toEqual([['on-prem-1', single.id]])
      expect(await namesUnder('on-prem-2')).toEqual([])
      const copies = [
        ['on-prem-1', id],
        ['on-prem-2', id],
      ]
      expect(await namesUnder(MULTI_REGION_DOMAIN)).toEqual(copies)
      expect(await store.reader.countEkts(MULTI_REGION_DOMAIN, version)).toBe(2)
      const [first] = await store.reader.listEkts(MULTI_REGION_DOMAIN, version, undefined, 1)
      expect(await store.reader.listEkts(MULTI_REGION_DOMAIN, version, first, 10)).toHaveLength(1)
    })

    it('are not added under a version of that domain that was swept', async () => {
      const domain = makeDomain()
      const version = dkVersionOf(material.ekt!.record)
      const swept = { ...domain.versions[0]!, version, sweptAtMs: 1 }
      await store.transaction(tx => tx.putDomain({ ...domain, region: MULTI_REGION_DOMAIN, versions: [swept] }))
      await expect(store.transaction(tx => tx.insertKey(related('on-prem-1')))).rejects.toThrow(VersionSwept)
      await store.transaction(tx => tx.insertKey(makeKey({}, [material])))
    })
  })

  describe('the count of keys', () => {
    it('is that of an account in a region, in whatever state, without those of services', async () => {
      const keys = [
        makeKey(),
        makeKey({ state: 'PendingDeletion', deletionAtMs: 9 }),
        makeKey({ managedBy: 'storage.amazonaws.com' }),
        makeKey({ region: 'on-prem-2' }),
        makeKey({ account: '111122223333' }),
      ]
      await store.transaction(async tx => {
        for (const key of keys) await tx.insertKey(key)
      })
      expect(await store.reader.countKeys(SCOPE)).toBe(2)
      await store.transaction(async tx => {
        for (const key of keys) await tx.deleteKey(key, 10)
      })
      expect(await store.reader.countKeys(SCOPE)).toBe(0)
    })

    it('is left as it was by a transaction that fails', async () => {
      const failing = store.transaction(async tx => {
        await tx.insertKey(makeKey())
        expect(await tx.countKeys(SCOPE)).toBe(1)
        throw new Error('after all not')
      })
      await expect(failing).rejects.toThrow('after all not')
      expect(await store.reader.countKeys(SCOPE)).toBe(0)
    })

    it('lets two processes that count before they insert go no further than one would', async () => {
      const other = await open()
      const insertBelow = (each: Store, room: number) =>
        each.transaction(async tx => {
          if ((await tx.countKeys(SCOPE)) < room) await tx.insertKey(makeKey())
        })
      await Promise.all(Array.from({ length: 12 }, (_, at) => insertBelow(at % 2 === 0 ? store : other, 5)))
      expect(await other.reader.listKeyIds(SCOPE, FIRST_PAGE)).toHaveLength(5)
      expect(await store.reader.countKeys(SCOPE)).toBe(5)
    })
  })

  describe('wrapping keys of imports', () => {
    it('are among the records of their domain key version, and are replaced only as they were read', async () => {
      const key = makeKey({}, [])
      const importKey: ImportKey = {
        ...{ region: key.region, account: key.account, keyId: key.id, importId: Buffer.alloc(16, 0xab) },
        ...{ algorithm: 'RSAES_OAEP_SHA_1', spec: 'RSA_2048', ekt: makeEkt(), notAfterMs: 10, attempts: 0 },
      }
      await store.transaction(async tx => {
        await tx.insertKey({ ...key, state: 'PendingImport', origin: 'EXTERNAL', current: undefined })
        await tx.insertImportKey(importKey)
      })
      const version = dkVersionOf(importKey.ekt.record)
      expect(await store.reader.countEkts(SCOPE.region, version)).toBe(1)
      const [found, ...others] = await store.reader.listEkts(SCOPE.region, version, undefined, 10)
      expect(others).toEqual([])
      expect(found).toMatchObject({ table: 'import_keys', record: importKey.ekt.record })
      expect(found!.name).toBe(`import_keys ${SCOPE.region}/${SCOPE.account}/${key.id}/${'ab'.repeat(16)}`)
      expect(await store.reader.listEkts(SCOPE.region, version, found, 10)).toEqual([])
      const { record } = makeEkt()
      const other = { ...found!, record }
      expect(await store.transaction(tx => tx.replaceEkt(other, record))).toBe(false)
      expect(await store.transaction(tx => tx.replaceEkt(found!, record))).toBe(true)
      expect((await store.reader.findImportKey(key, key.id, importKey.importId))?.ekt.record).toEqual(record)
      expect(await store.reader.countEkts(SCOPE.region, version)).toBe(0)
      expect(await store.reader.countEkts(SCOPE.region, dkVersionOf(record))).toBe(1)
    })
  })

  describe('uses of keys', () => {
    const useOf = (key: KmsKey, atMs: number): KeyUse => ({
      ...{ region: key.region, account: key.account, keyId: key.id },
      ...{ operation: 'Decrypt', atMs, requestId: `request-${atMs}`, eventId: `event-${atMs}` },
    })

    it('are the newest of each key, whichever process writes last', async () => {
      const [first, second] = [makeKey(), makeKey({ account: '111122223333' })]
      await store.transaction(async tx => {
        for (const key of [first, second]) await tx.insertKey(key)
      })
      expect(await store.reader.findKeyUse(first, first.id)).toBeUndefined()
      const other = await open()
      await store.transaction(tx => tx.putKeyUses([useOf(first, 20), useOf(second, 20)]))
      await other.transaction(tx => tx.putKeyUses([useOf(first, 10), useOf(second, 30)]))
      for (const { reader } of [store, other]) {
        expect(await reader.findKeyUse(first, first.id)).toEqual(useOf(first, 20))
        expect(await reader.findKeyUse(second, second.id)).toEqual(useOf(second, 30))
      }
    })

    it('go with their key, and none is kept of one that is gone', async () => {
      const [gone, kept] = [makeKey(), makeKey()]
      await store.transaction(async tx => {
        for (const key of [gone, kept]) await tx.insertKey(key)
        await tx.putKeyUses([useOf(gone, 10), useOf(kept, 10)])
      })
      await store.transaction(tx => tx.deleteKey(gone, 15))
      await store.transaction(tx => tx.putKeyUses([useOf(gone, 20), useOf(kept, 20)]))
      expect(await store.reader.findKeyUse(gone, gone.id)).toBeUndefined()
      expect(await store.reader.findKeyUse(kept, kept.id)).toEqual(useOf(kept, 20))
    })

    it('are recorded since the store was made', async () => {
      const startedAtMs = await store.reader.findTrackingStart()
      expect(startedAtMs).toBeLessThanOrEqual(Date.now())
      const again = await open()
      expect(await again.reader.findTrackingStart()).toBe(startedAtMs)
    })
  })

  describe('objects in tokens', () => {
    it('are begun before the key, ready with it, and owed after it until they are destroyed', async () => {
      const { key, object, ekt } = makeResident()
      await store.transaction(tx => tx.insertResidentObject(object))
      expect(await store.reader.listResidentObjects(SCOPE.region)).toEqual([object])
      expect(await store.reader.countResidentObjects(SCOPE.region)).toEqual(new Map([[object.serial, 1]]))
      await store.transaction(tx => tx.insertKey(key))
      expect((await store.reader.findKey(SCOPE, key.id))?.current?.ekt?.holders).toEqual([object.serial])
      expect(await store.reader.listResidentObjects(SCOPE.region)).toEqual([{ ...object, state: 'ready' }])
      expect(await store.reader.listDoomedObjects()).toEqual([])
      await store.transaction(tx => tx.deleteKey(key, 9))
      const [doomed, ...others] = await store.reader.listDoomedObjects()
      expect(doomed).toMatchObject({ ...object, state: 'destroying', ekt: { record: ekt.record, digest: ekt.digest } })
      expect(others).toEqual([])
      await store.transaction(tx => tx.deleteResidentObject(doomed!))
      expect(await store.reader.listResidentObjects(SCOPE.region)).toEqual([])
    })

    it('must have been begun: a key whose object nobody wrote down is not stored', async () => {
      const { key } = makeResident()
      await expect(store.transaction(tx => tx.insertKey(key))).rejects.toBeInstanceOf(ChangedMeanwhile)
      expect(await store.reader.countKeys(SCOPE)).toBe(0)
    })

    it('are begun once, and forgotten in the state they are known in only', async () => {
      const { key, object } = makeResident()
      await store.transaction(tx => tx.insertResidentObject(object))
      await expect(store.transaction(tx => tx.insertResidentObject(object))).rejects.toBeInstanceOf(AlreadyStored)
      await store.transaction(tx => tx.insertKey(key))
      await expect(store.transaction(tx => tx.deleteResidentObject(object))).rejects.toBeInstanceOf(ChangedMeanwhile)
    })

    it('are owed for a key of a restored database too', async () => {
      const { key, object } = makeResident()
      await store.transaction(async tx => {
        await tx.insertResidentObject(object)
        await tx.insertKey(key)
        await tx.deleteResidentObject({ ...object, state: 'ready' })
        await tx.deleteKey(key, 9)
      })
      expect(await store.reader.listDoomedObjects()).toMatchObject([{ serial: object.serial, state: 'destroying' }])
    })
  })

  describe('keys', () => {
    it('come back as they were inserted, with materials and bytes', async () => {
      const first = makeMaterial('NON_CURRENT', 1)
      const key = makeKey({ state: 'PendingDeletion', deletionAtMs: 99 }, [first, makeMaterial('CURRENT', 2)])
      await store.transaction(tx => tx.insertKey(key))
      const found = await store.reader.findKey(SCOPE, key.id)
      expect(found).toEqual(key)
      expect(found?.current).toBe(found?.materials.get(key.current!.id))
      expect(Buffer.isBuffer(found?.current?.ekt?.record)).toBe(true)
      expect([...found!.materials.keys()]).toEqual([...key.materials.keys()])
    })

    it('belong to one account in one region', async () => {
      const key = makeKey()
      await store.transaction(tx => tx.insertKey(key))
      expect(await store.reader.findKey({ ...SCOPE, account: '000000000002' }, key.id)).toBeUndefined()
      expect(await store.reader.findKey({ ...SCOPE, region: 'on-prem-2' }, key.id)).toBeUndefined()
      const elsewhere = makeKey({ id: key.id, region: 'on-prem-2' })
      await store.transaction(tx => tx.insertKey(elsewhere))
      expect(await store.reader.findKey(elsewhere, key.id)).toEqual(elsewhere)
      expect(await store.reader.countKeys(SCOPE)).toBe(1)
    })

    it('are listed by id, page by page', async () => {
      const keys = Array.from({ length: 7 }, () => makeKey())
      await store.transaction(async tx => {
        for (const key of keys) await tx.insertKey(key)
      })
      const ids = keys.map(key => key.id).toSorted()
      expect(await store.reader.listKeyIds(SCOPE, FIRST_PAGE)).toEqual(ids)
      expect(await store.reader.listKeyIds(SCOPE, { after: undefined, limit: 3 })).toEqual(ids.slice(0, 3))
      expect(await store.reader.listKeyIds(SCOPE, { after: ids[2], limit: 3 })).toEqual(ids.slice(3, 6))
      expect(await store.reader.listKeyIds(SCOPE, { after: ids[6], limit: 3 })).toEqual([])
      expect(await store.reader.countKeys(SCOPE)).toBe(7)
    })

    it('are never stored twice', async () => {
      const key = makeKey()
      await store.transaction(tx => tx.insertKey(key))
      await expect(store.transaction(tx => tx.insertKey(key))).rejects.toBeInstanceOf(AlreadyStored)
      expect(await store.reader.findKey(SCOPE, key.id)).toEqual(key)
    })

    it('have one CURRENT material', async () => {
      const two = [makeMaterial(), makeMaterial()]
      await expect(store.transaction(tx => tx.insertKey(makeKey({}, two)))).rejects.toThrow('one CURRENT material')
      const none = makeKey({ current: makeMaterial() }, [])
      await expect(store.transaction(tx => tx.insertKey(none))).rejects.toThrow('one CURRENT material')
      expect(await store.reader.countKeys(SCOPE)).toBe(0)
    })

    it('change one generation at a time', async () => {
      const key = makeKey()
      await store.transaction(tx => tx.insertKey(key))
      const changes = { state: 'PendingDeletion', description: 'new', policy: '{}', deletionAtMs: 123 } as const
      const changed = { ...key, ...changes, generation: 2 }
      await store.transaction(tx => tx.updateKey(changed))
      expect(await store.reader.findKey(SCOPE, key.id)).toEqual(changed)
      for (const generation of [1, 2, 4]) {
        const update = store.transaction(tx => tx.updateKey({ ...key, generation }))
        await expect(update).rejects.toBeInstanceOf(ChangedMeanwhile)
      }
      expect(await store.reader.findKey(SCOPE, key.id)).toEqual(changed)
      await store.transaction(tx => tx.updateKey({ ...key, generation: 3 }))
      expect((await store.reader.findKey(SCOPE, key.id))?.deletionAtMs).toBeUndefined()
    })

    it('that are due for deletion come from every account and region, the longest overdue first', async () => {
      const due = [
        makeKey({ deletionAtMs: 30, state: 'PendingDeletion' }),
        makeKey({ deletionAtMs: 10, state: 'PendingDeletion', account: '000000000002' }),
        makeKey({ deletionAtMs: 20, state: 'PendingDeletion', region: 'on-prem-2' }),
      ]
      const others = [makeKey(), makeKey({ deletionAtMs: 31, state: 'PendingDeletion' })]
      await store.transaction(async tx => {
        for (const key of [...due, ...others]) await tx.insertKey(key)
      })
      const ordered = [due[1], due[2], due[0]]
      expect(await store.reader.listKeysDueForDeletion(30, 10)).toEqual(ordered)
      expect(await store.reader.listKeysDueForDeletion(30, 2)).toEqual(ordered.slice(0, 2))
      expect(await store.reader.listKeysDueForDeletion(9, 10)).toEqual([])
    })

    it('take materials, aliases and tags along when they are deleted, and no bytes of an EKT stay on disk', async () => {
      const large = { ...makeMaterial('NON_CURRENT', 1), ekt: makeEkt(8_192) }
      const key = makeKey({}, [large, makeMaterial('CURRENT', 2)])
      const other = makeKey()
      await store.transaction(async tx => {
        for (const each of [key, other, ...Array.from({ length: 30 }, () => makeKey())]) await tx.insertKey(each)
        await tx.insertAlias(makeAlias(key))
        await tx.insertAlias(makeAlias(other, 'alias/other'))
        await tx.putTags(key, [{ key: 'a', value: 'b' }])
      })
      const records = [...key.materials.values()]
        .flatMap(({ ekt }) => ekt!.record)
        .flatMap(record => [
          record.subarray(0, 32),
          record.subarray(-32),
          record.subarray(record.length / 2, record.length / 2 + 32),
        ])
      expect(records.map(bytes => backend.bytesOnDisk(folder.path).includes(bytes))).not.toContain(false)

      await expect(store.transaction(tx => tx.deleteKey({ ...key, generation: 2 }, 50))).rejects.toThrow(
        ChangedMeanwhile,
      )
      await store.transaction(tx => tx.deleteKey(key, 50))
      await store.scrub()
      const onDisk = backend.bytesOnDisk(folder.path)
      expect(records.map(bytes => onDisk.includes(bytes))).not.toContain(true)
      expect(onDisk.includes(other.current!.ekt!.record.subarray(0, 32))).toBe(true)
      expect(onDisk.includes(`keys${key.region}/${key.account}/${key.id}`)).toBe(true)

      expect(await store.reader.findKey(SCOPE, key.id)).toBeUndefined()
      expect(await store.reader.findAlias(SCOPE, 'alias/one')).toBeUndefined()
      expect(await store.reader.listTags(SCOPE, key.id, FIRST_PAGE)).toEqual([])
      expect(await store.reader.findKey(SCOPE, other.id)).toEqual({ ...other, aliases: ['alias/other'] })
      expect((await store.reader.findAlias(SCOPE, 'alias/other'))?.keyId).toBe(other.id)
      await expect(store.transaction(tx => tx.deleteKey(key, 50))).rejects.toBeInstanceOf(ChangedMeanwhile)
    })

    it('are erased, each once, when no version from their time is left, and no related key', async () => {
      const domain = makeDomain()
      await store.transaction(tx => tx.putDomain(domain))
      const shared = { ...makeDomain(), region: MULTI_REGION_DOMAIN, id: '0'.repeat(32) }
      await store.transaction(tx => tx.putDomain(shared))
      const other = { ...makeDomain(), region: 'on-prem-2', id: '1'.repeat(32) }
      await store.transaction(tx => tx.putDomain(other))
      const gone = [makeKey(), makeKey()]
      const primary = makeKey({ id: newMultiRegionKeyId() })
      const replica = { ...primary, region: 'on-prem-2' }
      const erase = (of: string, oldest: number, limit = 10) =>
        store.transaction(tx => tx.eraseKeys(of, oldest, 60, limit))
      await store.transaction(async tx => {
        for (const key of [...gone, primary, replica, makeKey()]) await tx.insertKey(key)
        for (const key of [...gone, primary]) await tx.deleteKey(key, 50)
      })
      // Versions 1 and 2 were there: a copy may be under either.
      expect(await erase(SCOPE.region, 2)).toEqual([])
      const names = gone.map(({ id }) => ({ ...SCOPE, keyId: id, deletedAtMs: 50 }))
      const [first, ...others] = await erase(SCOPE.region, 3, 1)
      expect(others).toEqual([])
      expect([first, ...(await erase(SCOPE.region, 3))]).toEqual(names.toSorted((a, b) => (a.keyId < b.keyId ? -1 : 1)))
      expect(await erase(SCOPE.region, 3)).toEqual([])
      expect(await erase(MULTI_REGION_DOMAIN, 3)).toEqual([])
      await store.transaction(tx => tx.deleteKey(replica, 51))
      expect((await erase(MULTI_REGION_DOMAIN, 3)).map(({ region }) => region).toSorted()).toEqual(
        [primary.region, 'on-prem-2'].toSorted(),
      )
    })

    it('may be made again under an id that had been deleted, as the replica of a multi-Region key is', async () => {
      const key = makeKey({ id: `mrk-${'0'.repeat(32)}` })
      for (const nowMs of [1, 2]) {
        await store.transaction(tx => tx.insertKey(key))
        await store.transaction(tx => tx.deleteKey(key, nowMs))
      }
      expect(await store.reader.countKeys(SCOPE)).toBe(0)
    })
  })

  describe('grants', () => {
    it('come with their key and by their id, and go with it', async () => {
      const key = makeKey()
      const [first, second] = [makeGrant(), makeGrant({ encryptionContextEquals: new Map([['__proto__', 'x']]) })]
      await store.transaction(async tx => {
        await tx.insertKey(key)
        await tx.insertGrant(key, first)
      })
      expect((await store.hot.key(SCOPE, key.id))?.grants).toEqual([first])
      await store.transaction(tx => tx.insertGrant(key, second))
      const both = [first, second].sort((a, b) => (a.id < b.id ? -1 : 1))
      expect((await store.hot.key(SCOPE, key.id))?.grants).toEqual(both)
      const found = { ...SCOPE, keyId: key.id, grant: first }
      expect(await store.reader.findGrant(first.id)).toEqual(found)
      await store.transaction(tx => tx.deleteGrant(found))
      expect((await store.hot.key(SCOPE, key.id))?.grants).toEqual([second])
      await expect(store.transaction(tx => tx.deleteGrant(found))).rejects.toBeInstanceOf(ChangedMeanwhile)
      await store.transaction(tx => tx.deleteKey(key, 1))
      expect(await store.reader.findGrant(second.id)).toBeUndefined()
    })

    it('are listed by their retiring principal, page by page, whosever keys they are on', async () => {
      const keys = [makeKey(), makeKey({ account: '000000000002' }), makeKey({ region: 'on-prem-2' })]
      const grants = keys.map(() => makeGrant())
      await store.transaction(async tx => {
        for (const [at, key] of keys.entries()) {
          await tx.insertKey(key)
          await tx.insertGrant(key, grants[at]!)
        }
        await tx.insertGrant(keys[0]!, { ...makeGrant(), retiring: undefined })
      })
      const ids = grants
        .slice(0, 2)
        .map(({ id }) => id)
        .sort()
      const list = async (page: Page) =>
        (await store.reader.listGrantsToRetire('on-prem-1', grants[0]!.retiring!, page)).map(({ grant }) => grant.id)
      expect(await list(FIRST_PAGE)).toEqual(ids)
      expect(await list({ after: ids[0], limit: 1 })).toEqual(ids.slice(1))
    })
  })

  describe('aliases', () => {
    it('are inserted, moved, counted and deleted', async () => {
      const [key, other] = [makeKey(), makeKey()]
      const alias = makeAlias(key)
      await store.transaction(async tx => {
        await tx.insertKey(key)
        await tx.insertKey(other)
        await tx.insertAlias(alias)
      })
      expect(await store.reader.findAlias(SCOPE, alias.name)).toEqual(alias)
      await expect(store.transaction(tx => tx.insertAlias(alias))).rejects.toBeInstanceOf(AlreadyStored)
      const target = { keyId: other.id, updatedAtMs: 9 }
      const moved = { ...alias, ...target }
      await store.transaction(tx => tx.updateAlias(alias, target))
      expect(await store.reader.findAlias(SCOPE, alias.name)).toEqual(moved)
      expect(await store.reader.countAliases(SCOPE, key.id)).toBe(0)
      expect(await store.reader.countAliases(SCOPE, other.id)).toBe(1)
      // Whoever read it as a name of the first key was let in by that key, and not by the other.
      for (const change of [
        store.transaction(tx => tx.deleteAlias(alias)),
        store.transaction(tx => tx.updateAlias(alias, { keyId: key.id, updatedAtMs: 10 })),
      ])
        await expect(change).rejects.toBeInstanceOf(ChangedMeanwhile)
      expect(await store.reader.findAlias(SCOPE, alias.name)).toEqual(moved)
      await store.transaction(tx => tx.deleteAlias(moved))
      expect(await store.reader.findAlias(SCOPE, alias.name)).toBeUndefined()
      await expect(store.transaction(tx => tx.updateAlias(moved, target))).rejects.toBeInstanceOf(ChangedMeanwhile)
      await expect(store.transaction(tx => tx.deleteAlias(alias))).rejects.toBeInstanceOf(ChangedMeanwhile)
    })

    it('point at keys that exist', async () => {
      const alias = makeAlias(makeKey())
      await expect(store.transaction(tx => tx.insertAlias(alias))).rejects.toBeInstanceOf(ChangedMeanwhile)
    })

    it('are listed by name, of one key or of all, page by page', async () => {
      const [key, other] = [makeKey(), makeKey()]
      const names = ['alias/B', 'alias/a', 'alias/a-1', 'alias/b', 'alias/z']
      await store.transaction(async tx => {
        await tx.insertKey(key)
        await tx.insertKey(other)
        for (const name of names.toReversed()) await tx.insertAlias(makeAlias(name === 'alias/b' ? other : key, name))
      })
      const list = async (keyId: string | undefined, page: Page) =>
        (await store.reader.listAliases(SCOPE, keyId, page)).map(alias => alias.name)
      expect(await list(undefined, FIRST_PAGE)).toEqual(names)
      expect(await list(undefined, { after: 'alias/a', limit: 2 })).toEqual(['alias/a-1', 'alias/b'])
      expect(await list(key.id, { after: 'alias/a-1', limit: 2 })).toEqual(['alias/z'])
      expect(await list(other.id, FIRST_PAGE)).toEqual(['alias/b'])
    })
  })

  it('tags are put, replaced, listed and deleted', async () => {
    const key = makeKey()
    await store.transaction(async tx => {
      await tx.insertKey(key)
      await tx.putTags(key, [
        { key: 'b', value: '1' },
        { key: 'a', value: '' },
        { key: 'c', value: '3' },
      ])
    })
    await store.transaction(tx => tx.putTags(key, [{ key: 'b', value: '2' }]))
    const page = { after: 'a', limit: 1 }
    expect(await store.reader.listTags(SCOPE, key.id, page)).toEqual([{ key: 'b', value: '2' }])
    await store.transaction(tx => tx.deleteTags(key, ['b', 'c', 'absent']))
    await store.transaction(tx => tx.deleteTags(key, []))
    expect(await store.reader.listTags(SCOPE, key.id, FIRST_PAGE)).toEqual([{ key: 'a', value: '' }])
    const gone = store.transaction(tx => tx.putTags(makeKey(), [{ key: 'a', value: 'b' }]))
    await expect(gone).rejects.toBeInstanceOf(ChangedMeanwhile)
  })

  describe('identities', () => {
    const find = (name: string) => store.reader.findIdentity(SCOPE.account, 'user', name)

    it('come back with their policies, by name', async () => {
      const { alice } = await insertAlice()
      const bob = makeIdentity('Bob')
      await store.transaction(tx => tx.insertIdentity(bob))
      expect(await store.reader.findAccount(SCOPE.account)).toEqual({
        id: SCOPE.account,
        name: 'tenant',
        createdAtMs: 1,
      })
      expect(await store.reader.findAccount('000000000002')).toBeUndefined()
      expect(await find('alice')).toEqual(alice)
      expect(await find('nobody')).toBeUndefined()
      expect(await store.reader.listIdentities(SCOPE.account, 'user')).toEqual([bob, alice])
      expect(await store.reader.listIdentities(SCOPE.account, 'role')).toEqual([])
    })

    it('and accounts are never stored twice, but a role may be called like a user', async () => {
      const { alice, accessKey } = await insertAlice()
      const namesake = { ...alice, principalId: 'AIDA00000000000000000' }
      for (const work of [
        store.transaction(tx => tx.insertAccount({ id: SCOPE.account, name: '', createdAtMs: 2 })),
        store.transaction(tx => tx.insertIdentity(alice)),
        store.transaction(tx => tx.insertIdentity(namesake)),
        store.transaction(tx => tx.insertAccessKey(accessKey)),
      ]) {
        await expect(work).rejects.toBeInstanceOf(AlreadyStored)
      }
      const role = makeIdentity('alice', {
        ...{ principalId: 'AROA0', kind: 'role', arn: roleArn(SCOPE.account, '/team/', 'alice') },
        role: {
          trustPolicy: '{"trust":1}',
          trustPrincipals: new Map([['arn', 'AIDA']]),
          sessionSecondsMax: 3_600,
          revokedBeforeMs: 9,
        },
      })
      await store.transaction(tx => tx.insertIdentity(role))
      expect(await store.reader.findIdentity(SCOPE.account, 'role', 'alice')).toEqual(role)
      expect(await find('alice')).toEqual(alice)
    })

    it('are changed as a whole, one generation at a time', async () => {
      const { alice, accessKey } = await insertAlice()
      const changed = {
        ...{ ...alice, generation: 2, tags: new Map([['a', '']]) },
        inlinePolicies: new Map([
          ['Added', '{}'],
          ['FullAccess', '{"b":2}'],
        ]),
      }
      await store.transaction(tx => tx.updateIdentity(changed))
      expect(await find('alice')).toEqual(changed)
      for (const generation of [1, 2, 4]) {
        const again = store.transaction(tx => tx.updateIdentity({ ...alice, generation }))
        await expect(again).rejects.toBeInstanceOf(ChangedMeanwhile)
      }
      expect(await find('alice')).toEqual(changed)
      expect(await store.reader.listAccessKeys(alice.principalId)).toEqual([accessKey])
    })

    it('have the documents of their own policies, of managed ones and of their groups', async () => {
      const { alice } = await insertAlice()
      const [readers, writers, ceiling] = ['Readers', 'Writers', 'Ceiling'].map(name =>
        makeManagedPolicy(name, JSON.stringify({ name })),
      )
      const group = makeIdentity('ops', {
        ...{ principalId: 'AGPA0', kind: 'group', arn: groupArn(SCOPE.account, '/team/', 'ops') },
        ...{ inlinePolicies: new Map([['Ops', '{"ops":1}']]), attachedPolicies: ['Readers'] },
      })
      const member = {
        ...{ ...alice, generation: 2, groups: ['ops'], attachedPolicies: ['Writers'], boundary: 'Ceiling' },
      }
      await store.transaction(async tx => {
        for (const policy of [readers, writers, ceiling]) await tx.insertManagedPolicy(policy!)
        await tx.insertIdentity(group)
        await tx.updateIdentity(member)
      })
      expect(await find('alice')).toEqual(member)
      expect(await store.reader.findPrincipal(alice.principalId)).toEqual({
        identity: member,
        policies: [
          { name: 'inline policy FullAccess of user alice', document: '{}' },
          { name: 'inline policy Other of user alice', document: '{"a":1}' },
          { name: 'inline policy Ops of group ops', document: '{"ops":1}' },
          { name: writers!.arn, document: '{"name":"Writers"}' },
          { name: readers!.arn, document: '{"name":"Readers"}' },
        ],
        boundary: { name: ceiling!.arn, document: '{"name":"Ceiling"}' },
      })
      expect(await store.reader.listGroupMembers(group)).toEqual(['alice'])
      expect(await store.reader.listPolicyHolders(readers!)).toEqual(['group ops'])
      expect(await store.reader.listPolicyHolders(ceiling!)).toEqual(['user alice'])
      const absent = store.transaction(tx => tx.updateIdentity({ ...member, generation: 3, boundary: 'Absent' }))
      await expect(absent).rejects.toBeInstanceOf(ChangedMeanwhile)
      const held = store.transaction(tx => tx.deleteManagedPolicy(readers!))
      await expect(held).rejects.toBeInstanceOf(ChangedMeanwhile)
    })

    it('own access keys', async () => {
      const { alice, accessKey } = await insertAlice()
      const second = makeAccessKey(alice, 6)
      await store.transaction(tx => tx.insertAccessKey(second))
      expect(await store.reader.listAccessKeys(alice.principalId)).toEqual([second, accessKey])
      expect(await store.reader.findAccessKey(accessKey.id)).toEqual(accessKey)
      const changed = { ...accessKey, active: false, sealedSecret: Buffer.from('sealed anew') }
      await store.transaction(tx => tx.updateAccessKey(changed))
      expect(await store.reader.findAccessKey(accessKey.id)).toEqual(changed)
      await store.transaction(tx => tx.deleteAccessKey(accessKey))
      expect(await store.reader.findAccessKey(accessKey.id)).toBeUndefined()
      await expect(store.transaction(tx => tx.updateAccessKey(accessKey))).rejects.toBeInstanceOf(ChangedMeanwhile)
      await expect(store.transaction(tx => tx.deleteAccessKey(accessKey))).rejects.toBeInstanceOf(ChangedMeanwhile)
    })

    it('know the newest use of an access key, and none of one that is gone', async () => {
      const { alice, accessKey } = await insertAlice()
      const use = { accessKeyId: accessKey.id, atMs: 20, region: 'on-prem-1', service: 'kms' }
      expect(await store.reader.listAccessKeyUses(alice.principalId)).toEqual([])
      await store.transaction(tx => tx.putAccessKeyUse(use))
      await store.transaction(tx => tx.putAccessKeyUse({ ...use, atMs: 10, service: 'sts' }))
      expect(await store.reader.listAccessKeyUses(alice.principalId)).toEqual([use])
      await store.transaction(tx => tx.putAccessKeyUse({ ...use, atMs: 30, service: 'sts' }))
      expect(await store.reader.listAccessKeyUses(alice.principalId)).toEqual([{ ...use, atMs: 30, service: 'sts' }])
      await store.transaction(async tx => {
        await tx.deleteAccessKey(accessKey)
        await tx.putAccessKeyUse(use)
      })
      expect(await store.reader.listAccessKeyUses(alice.principalId)).toEqual([])
    })

    it('take policies and access keys along when they are deleted', async () => {
      const { alice, accessKey } = await insertAlice()
      await store.transaction(tx => tx.deleteIdentity(alice))
      expect(await find('alice')).toBeUndefined()
      expect(await store.reader.findAccessKey(accessKey.id)).toBeUndefined()
      expect(await store.reader.listAccessKeys(alice.principalId)).toEqual([])
      await expect(store.transaction(tx => tx.deleteIdentity(alice))).rejects.toBeInstanceOf(ChangedMeanwhile)
      const successor = makeIdentity('alice')
      await store.transaction(tx => tx.insertIdentity(successor))
      expect(await find('alice')).toEqual(successor)
    })
  })

  it('managed policies change one generation at a time, with their versions', async () => {
    await insertAlice()
    const policy = makeManagedPolicy()
    await store.transaction(tx => tx.insertManagedPolicy(policy))
    expect(await store.reader.findManagedPolicy(SCOPE.account, 'Readers')).toEqual(policy)
    const twice = store.transaction(tx => tx.insertManagedPolicy(makeManagedPolicy()))
    await expect(twice).rejects.toBeInstanceOf(AlreadyStored)
    const changed = {
      ...{ ...policy, generation: 2, description: 'who reads', defaultVersion: 2 },
      versions: new Map([...policy.versions, [2, { document: '{}', createdAtMs: 6 }]]),
    }
    await store.transaction(tx => tx.updateManagedPolicy(changed))
    expect(await store.reader.listManagedPolicies(SCOPE.account)).toEqual([changed])
    await expect(store.transaction(tx => tx.updateManagedPolicy(changed))).rejects.toBeInstanceOf(ChangedMeanwhile)
    await expect(store.transaction(tx => tx.deleteManagedPolicy(policy))).rejects.toBeInstanceOf(ChangedMeanwhile)
    await store.transaction(tx => tx.deleteManagedPolicy(changed))
    expect(await store.reader.listManagedPolicies(SCOPE.account)).toEqual([])
  })

  it('accounts are listed by id, know whether they have keys, and are deleted when empty', async () => {
    await insertAlice()
    await store.transaction(tx => tx.insertAccount({ id: '000000000000', name: '', createdAtMs: 3 }))
    expect((await store.reader.listAccounts()).map(({ id }) => id)).toEqual(['000000000000', SCOPE.account])
    expect(await store.reader.accountHasKeys(SCOPE.account)).toBe(false)
    await store.transaction(tx => tx.insertKey(makeKey()))
    expect(await store.reader.accountHasKeys(SCOPE.account)).toBe(true)
    const full = store.transaction(tx => tx.deleteAccount(SCOPE.account))
    await expect(full).rejects.toBeInstanceOf(ChangedMeanwhile)
    await store.transaction(tx => tx.deleteAccount('000000000000'))
    expect(await store.reader.findAccount('000000000000')).toBeUndefined()
  })

  it('a domain is written whole, and the daemon keys once', async () => {
    const domain = makeDomain()
    expect(await store.reader.findDomain(SCOPE.region)).toBeUndefined()
    await store.transaction(tx => tx.putDomain({ ...domain, state: 'creating', versions: [], tokens: [] }))
    const creating = await store.reader.findDomain(SCOPE.region)
    expect(creating).toEqual({ ...domain, state: 'creating', versions: [], tokens: [] })
    const ready: Domain = {
      ...domain,
      generation: 2,
      rotation: { to: 3, step: 'sweeping', startedAtMs: 77 },
      versions: domain.versions.map(version => ({ ...version, sweptAtMs: version.version === 1 ? 78 : undefined })),
    }
    await store.transaction(tx => tx.putDomain(ready))
    expect(await store.reader.findDomain(SCOPE.region)).toEqual(ready)
    const left = { ...ready, generation: 3, tokens: ready.tokens.slice(1), versions: ready.versions.slice(1) }
    await store.transaction(tx => tx.putDomain(left))
    expect(await store.reader.findDomain(SCOPE.region)).toEqual(left)
    for (const generation of [2, 3, 5])
      await expect(store.transaction(tx => tx.putDomain({ ...ready, generation }))).rejects.toThrow(ChangedMeanwhile)
    expect(await store.reader.findDomain(SCOPE.region)).toEqual(left)

    const daemonKey = makeDaemonKey()
    await store.transaction(tx => tx.insertDaemonKey(daemonKey))
    expect(await store.reader.findDaemonKey('identity')).toEqual(daemonKey)
    expect(await store.reader.findDaemonKey('session')).toBeUndefined()
    const withDataKey = { ...daemonKey, purpose: 'session', dataKey: Buffer.from('encrypted') }
    await store.transaction(tx => tx.insertDaemonKey(withDataKey))
    expect(await store.reader.findDaemonKey('session')).toEqual(withDataKey)
    await expect(store.transaction(tx => tx.insertDaemonKey(daemonKey))).rejects.toBeInstanceOf(AlreadyStored)
  })

  describe('dual control', () => {
    it('is off until it is written, and is written whole', async () => {
      expect(await store.reader.findDualControl()).toEqual({ generation: 0, threshold: 0, officers: [] })
      const [alice, bob] = [makeOfficer('alice'), makeOfficer('bob')]
      const first = { generation: 1, threshold: 0, officers: [alice] }
      await store.transaction(tx => tx.putDualControl(first))
      expect(await store.reader.findDualControl()).toEqual(first)
      await store.transaction(tx => tx.putDualControl({ generation: 2, threshold: 2, officers: [bob, alice] }))
      expect(await store.reader.findDualControl()).toEqual({ generation: 2, threshold: 2, officers: [alice, bob] })
    })

    it('changes one generation at a time', async () => {
      const dualControl = { generation: 1, threshold: 0, officers: [makeOfficer('alice')] }
      await store.transaction(tx => tx.putDualControl(dualControl))
      await expect(store.transaction(tx => tx.putDualControl(dualControl))).rejects.toBeInstanceOf(AlreadyStored)
      for (const generation of [3, 4]) {
        const change = store.transaction(tx => tx.putDualControl({ ...dualControl, generation, officers: [] }))
        await expect(change).rejects.toBeInstanceOf(ChangedMeanwhile)
      }
      expect(await store.reader.findDualControl()).toEqual(dualControl)
    })

    it('keeps requests with their approvals, one for each key', async () => {
      const [alice, bob] = [makeOfficer('alice'), makeOfficer('bob')]
      const request = makeApprovalRequest()
      expect(await store.reader.findApprovalRequest(request.id)).toBeUndefined()
      await store.transaction(tx => tx.insertApprovalRequest(request))
      expect(await store.reader.findApprovalRequest(request.id)).toEqual(request)
      await expect(store.transaction(tx => tx.insertApprovalRequest(request))).rejects.toBeInstanceOf(AlreadyStored)

      const approvals = [makeApproval(bob, 40), makeApproval(alice, 41)]
      for (const each of approvals) await store.transaction(tx => tx.insertApproval(request.id, each))
      expect(await store.reader.findApprovalRequest(request.id)).toEqual({ ...request, approvals })
      const again = makeApproval({ ...alice, name: 'alice under another name' })
      await expect(store.transaction(tx => tx.insertApproval(request.id, again))).rejects.toBeInstanceOf(AlreadyStored)
      const ofNothing = store.transaction(tx => tx.insertApproval('0'.repeat(32), again))
      await expect(ofNothing).rejects.toBeInstanceOf(ChangedMeanwhile)
    })

    it('moves a request on once, and remembers which approvals counted', async () => {
      const request = makeApprovalRequest()
      const [first, second] = [makeApproval(makeOfficer('alice')), makeApproval(makeOfficer('bob'), 50)]
      await store.transaction(async tx => {
        await tx.insertApprovalRequest(request)
        for (const each of [first, second]) await tx.insertApproval(request.id, each)
      })
      const approvals = [first, { ...second, counted: true }]
      const started = { ...request, state: 'started' as const, generation: 2, approvals }
      await store.transaction(tx => tx.updateApprovalRequest(started))
      await expect(store.transaction(tx => tx.updateApprovalRequest(started))).rejects.toBeInstanceOf(ChangedMeanwhile)
      expect(await store.reader.findApprovalRequest(request.id)).toEqual(started)
    })

    it('lists requests by state, the newest first', async () => {
      const requests = [1, 2, 3, 4].map(createdAtMs => makeApprovalRequest(createdAtMs))
      const [first, second, third, fourth] = requests
      const cancelled = { ...third!, state: 'cancelled' as const, generation: 2 }
      await store.transaction(async tx => {
        for (const each of requests) await tx.insertApprovalRequest(each)
        await tx.updateApprovalRequest(cancelled)
      })
      expect(await store.reader.listApprovalRequests(['open'], 10)).toEqual([fourth, second, first])
      expect(await store.reader.listApprovalRequests(['open', 'cancelled'], 2)).toEqual([fourth, cancelled])
      expect(await store.reader.listApprovalRequests(['done'], 10)).toEqual([])
    })
  })

  describe('transactions', () => {
    it('read what they wrote, which nobody else sees before the commit', async () => {
      const key = makeKey()
      const answer = await store.transaction(async tx => {
        await tx.insertKey(key)
        expect(await tx.findKey(SCOPE, key.id)).toEqual(key)
        expect(await store.reader.findKey(SCOPE, key.id)).toBeUndefined()
        return 'answer'
      })
      expect(answer).toBe('answer')
      expect(await store.reader.findKey(SCOPE, key.id)).toEqual(key)
    })

    it('leave nothing when they fail', async () => {
      const key = makeKey()
      const failing = store.transaction(async tx => {
        await tx.insertKey(key)
        throw new Error('the work failed')
      })
      await expect(failing).rejects.toThrow('the work failed')
      expect(await store.reader.findKey(SCOPE, key.id)).toBeUndefined()
      await store.transaction(tx => tx.insertKey(key))
    })

    it('wait for each other, in this process and in another', async () => {
      const other = await open()
      const key = makeKey()
      await store.transaction(tx => tx.insertKey(key))
      const count = async (counting: Store) => {
        await counting.transaction(async tx => {
          const found = await tx.findKey(SCOPE, key.id)
          await new Promise(resolve => setTimeout(resolve, 2))
          await tx.updateKey({ ...found!, generation: found!.generation + 1 })
        })
      }
      await Promise.all(Array.from({ length: 20 }, (_, index) => count(index % 2 === 0 ? store : other)))
      expect((await store.reader.findKey(SCOPE, key.id))?.generation).toBe(21)
    })

    it('are still there when the store is opened again', async () => {
      const key = makeKey()
      const { alice, accessKey } = await insertAlice()
      await store.transaction(async tx => {
        await tx.insertKey(key)
        await tx.insertAlias(makeAlias(key))
        await tx.putTags(key, [{ key: 'a', value: 'b' }])
      })
      await store.close()
      const again = await open()
      const found = await again.reader.findKey(SCOPE, key.id)
      expect(found).toEqual({ ...key, aliases: ['alias/one'], tags: [{ key: 'a', value: 'b' }] })
      expect(await again.reader.findAlias(SCOPE, 'alias/one')).toEqual(makeAlias(key))
      expect(await again.reader.listTags(SCOPE, key.id, FIRST_PAGE)).toEqual([{ key: 'a', value: 'b' }])
      expect(await again.reader.findAccessKey(accessKey.id)).toEqual(accessKey)
      expect(await again.reader.findIdentity(SCOPE.account, 'user', 'alice')).toEqual(alice)
    })
  })

  describe('hot reads', () => {
    it('ask the database once', async () => {
      const key = makeKey()
      const { alice, accessKey } = await insertAlice()
      await store.transaction(async tx => {
        await tx.insertKey(key)
        await tx.insertAlias(makeAlias(key))
      })
      const reads = () => [
        store.hot.key(SCOPE, key.id),
        store.hot.alias(SCOPE, 'alias/one'),
        store.hot.accessKey(accessKey.id),
        store.hot.principal(alice.principalId),
        store.hot.managedPolicy(SCOPE.account, 'Readers'),
      ]
      const policy = makeManagedPolicy()
      await store.transaction(tx => tx.insertManagedPolicy(policy))
      expect(await Promise.all([...reads(), ...reads()])).toHaveLength(10)
      expect(store.hot.databaseReads).toBe(5)
      expect(store.hot.size).toBe(5)
      const principal = await store.reader.findPrincipal(alice.principalId)
      expect(reads()).toEqual([{ ...key, aliases: ['alias/one'] }, makeAlias(key), accessKey, principal, policy])
      expect(store.hot.databaseReads).toBe(5)
    })

    it('do not remember what does not exist', async () => {
      const key = makeKey()
      expect(await store.hot.key(SCOPE, key.id)).toBeUndefined()
      await store.transaction(tx => tx.insertKey(key))
      expect(await store.hot.key(SCOPE, key.id)).toEqual(key)
    })

    it('see the changes of this process at once', async () => {
      const [key, other] = [makeKey(), makeKey()]
      const { alice, accessKey } = await insertAlice()
      await store.transaction(async tx => {
        await tx.insertKey(key)
        await tx.insertKey(other)
        await tx.insertAlias(makeAlias(key))
      })
      const hot = async () => ({
        key: await store.hot.key(SCOPE, key.id),
        alias: await store.hot.alias(SCOPE, 'alias/one'),
        accessKey: await store.hot.accessKey(accessKey.id),
        principal: await store.hot.principal(alice.principalId),
        policy: await store.hot.managedPolicy(SCOPE.account, 'Readers'),
      })
      const documents = async () => (await hot()).principal?.policies.map(({ document }) => document)
      await hot()
      await store.hot.key(SCOPE, other.id)

      const disabled = { ...key, state: 'Disabled' as const, generation: 2 }
      await store.transaction(tx => tx.updateKey(disabled))
      expect((await hot()).key).toEqual({ ...disabled, aliases: ['alias/one'] })
      expect(store.hot.key(SCOPE, other.id)).toEqual(other)
      await store.transaction(tx => tx.updateAlias(makeAlias(key), { keyId: other.id, updatedAtMs: 9 }))
      expect((await hot()).alias?.keyId).toBe(other.id)
      expect((await hot()).key?.aliases).toEqual([])
      expect((await store.hot.key(SCOPE, other.id))?.aliases).toEqual(['alias/one'])
      await store.transaction(tx => tx.putTags(key, [{ key: 'a', value: 'b' }]))
      expect((await hot()).key?.tags).toEqual([{ key: 'a', value: 'b' }])
      await store.transaction(tx => tx.deleteTags(key, ['a']))
      expect((await hot()).key?.tags).toEqual([])
      await store.transaction(tx => tx.deleteKey(other, 1))
      expect((await hot()).alias).toBeUndefined()
      await store.transaction(tx => tx.updateAccessKey({ ...accessKey, active: false }))
      expect((await hot()).accessKey?.active).toBe(false)

      const group = makeIdentity('ops', { principalId: 'AGPA0', kind: 'group', attachedPolicies: ['Readers'] })
      const member = { ...alice, generation: 2, groups: ['ops'], inlinePolicies: new Map([['Own', '{"own":1}']]) }
      const policy = makeManagedPolicy()
      await store.transaction(async tx => {
        await tx.insertManagedPolicy(policy)
        await tx.insertIdentity(group)
        await tx.updateIdentity(member)
      })
      expect(await documents()).toEqual(['{"own":1}', '{"managed":1}'])
      expect((await hot()).policy).toEqual(policy)
      const versions = new Map([[1, { document: '{"managed":2}', createdAtMs: 5 }]])
      await store.transaction(tx => tx.updateManagedPolicy({ ...policy, generation: 2, versions }))
      expect(await documents()).toEqual(['{"own":1}', '{"managed":2}'])
      expect((await hot()).policy?.versions).toEqual(versions)
      await store.transaction(tx => tx.updateIdentity({ ...group, generation: 2, attachedPolicies: [] }))
      expect(await documents()).toEqual(['{"own":1}'])
      await store.transaction(tx => tx.deleteIdentity(member))
      expect(await hot()).toMatchObject({ accessKey: undefined, principal: undefined })
      await store.transaction(tx => tx.deleteKey(disabled, 1))
      expect((await hot()).key).toBeUndefined()
    })

    it('see the changes of another process within a second, and keep what only this one wrote beside', async () => {
      const key = makeKey()
      await store.transaction(tx => tx.insertKey(key))
      await store.hot.key(SCOPE, key.id)
      await store.transaction(tx => tx.insertKey(makeKey()))
      await new Promise(resolve => setTimeout(resolve, FOREIGN_CHANGE_MS))
      expect(store.hot.key(SCOPE, key.id)).toEqual(key)

      const other = await open()
      await other.transaction(tx => tx.updateKey({ ...key, state: 'Disabled', generation: 2 }))
      await waitUntil(async () => (await store.hot.key(SCOPE, key.id))?.state === 'Disabled', NOTICE_MS)
    })
  })
})
