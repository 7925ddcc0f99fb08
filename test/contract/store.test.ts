/**
 * What every key store must do, whatever database is below it: one suite, run on each of them. PostgreSQL is to be one
 * more entry of BACKENDS.
 */
import { execFileSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { AlreadyStored, ChangedMeanwhile } from '../../src/store/faults.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Page, Store } from '../../src/store/store.ts'
import {
  makeAccessKey,
  makeAlias,
  makeDaemonKey,
  makeDomain,
  makeEkt,
  makeIdentity,
  makeKey,
  makeMaterial,
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
    open: folder => openStore({ path: join(folder, 'store.db') }),
    bytesOnDisk: folder =>
      execFileSync(
        'cat',
        readdirSync(folder).map(file => join(folder, file)),
        { maxBuffer: 2 ** 28 },
      ),
  },
]

const FIRST_PAGE: Page = { after: undefined, limit: 100 }
const FOREIGN_CHANGE_MS = 1_000

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
    const alice = makeIdentity('alice', { FullAccess: '{}', Other: '{"a":1}' })
    const accessKey = makeAccessKey(alice)
    await store.transaction(async tx => {
      await tx.insertAccount(SCOPE.account, 1)
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
      expect(await store.reader.findKey(SCOPE, other.id)).toEqual(other)
      expect((await store.reader.findAlias(SCOPE, 'alias/other'))?.keyId).toBe(other.id)
      await expect(store.transaction(tx => tx.deleteKey(key, 50))).rejects.toBeInstanceOf(ChangedMeanwhile)
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
      const moved = { ...alias, keyId: other.id, updatedAtMs: 9 }
      await store.transaction(tx => tx.updateAlias(moved))
      expect(await store.reader.findAlias(SCOPE, alias.name)).toEqual(moved)
      expect(await store.reader.countAliases(SCOPE, key.id)).toBe(0)
      expect(await store.reader.countAliases(SCOPE, other.id)).toBe(1)
      await store.transaction(tx => tx.deleteAlias(alias))
      expect(await store.reader.findAlias(SCOPE, alias.name)).toBeUndefined()
      await expect(store.transaction(tx => tx.updateAlias(alias))).rejects.toBeInstanceOf(ChangedMeanwhile)
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
    it('come back with their policies, by name', async () => {
      const { alice } = await insertAlice()
      const bob = makeIdentity('Bob')
      await store.transaction(tx => tx.insertIdentity(bob))
      expect(await store.reader.accountExists(SCOPE.account)).toBe(true)
      expect(await store.reader.accountExists('000000000002')).toBe(false)
      expect(await store.reader.findIdentity(SCOPE.account, 'alice')).toEqual(alice)
      expect(await store.reader.findIdentity(SCOPE.account, 'nobody')).toBeUndefined()
      expect(await store.reader.listIdentities(SCOPE.account)).toEqual([bob, alice])
    })

    it('and accounts are never stored twice', async () => {
      const { alice, accessKey } = await insertAlice()
      const namesake = { ...alice, principalId: 'AIDA00000000000000000' }
      for (const work of [
        store.transaction(tx => tx.insertAccount(SCOPE.account, 2)),
        store.transaction(tx => tx.insertIdentity(alice)),
        store.transaction(tx => tx.insertIdentity(namesake)),
        store.transaction(tx => tx.insertAccessKey(accessKey)),
      ]) {
        await expect(work).rejects.toBeInstanceOf(AlreadyStored)
      }
    })

    it('gain, change and lose policies', async () => {
      const { alice } = await insertAlice()
      await store.transaction(async tx => {
        await tx.putIdentityPolicy(alice, 'FullAccess', '{"b":2}')
        await tx.putIdentityPolicy(alice, 'Added', '{}')
        await tx.deleteIdentityPolicy(alice, 'Other')
      })
      const policies = (await store.reader.findIdentity(SCOPE.account, 'alice'))?.policies
      expect([...policies!]).toEqual([
        ['Added', '{}'],
        ['FullAccess', '{"b":2}'],
      ])
      const again = store.transaction(tx => tx.deleteIdentityPolicy(alice, 'Other'))
      await expect(again).rejects.toBeInstanceOf(ChangedMeanwhile)
    })

    it('own access keys', async () => {
      const { alice, accessKey } = await insertAlice()
      const second = makeAccessKey(alice, 6)
      await store.transaction(tx => tx.insertAccessKey(second))
      expect(await store.reader.listAccessKeys(alice.principalId)).toEqual([second, accessKey])
      expect(await store.reader.findAccessKey(accessKey.id)).toEqual({ accessKey, identity: alice })
      const changed = { ...accessKey, active: false, sealedSecret: Buffer.from('sealed anew') }
      await store.transaction(tx => tx.updateAccessKey(changed))
      expect((await store.reader.findAccessKey(accessKey.id))?.accessKey).toEqual(changed)
      await store.transaction(tx => tx.deleteAccessKey(accessKey))
      expect(await store.reader.findAccessKey(accessKey.id)).toBeUndefined()
      await expect(store.transaction(tx => tx.updateAccessKey(accessKey))).rejects.toBeInstanceOf(ChangedMeanwhile)
      await expect(store.transaction(tx => tx.deleteAccessKey(accessKey))).rejects.toBeInstanceOf(ChangedMeanwhile)
    })

    it('take policies and access keys along when they are deleted', async () => {
      const { alice, accessKey } = await insertAlice()
      await store.transaction(tx => tx.deleteIdentity(alice))
      expect(await store.reader.findIdentity(SCOPE.account, 'alice')).toBeUndefined()
      expect(await store.reader.findAccessKey(accessKey.id)).toBeUndefined()
      expect(await store.reader.listAccessKeys(alice.principalId)).toEqual([])
      await expect(store.transaction(tx => tx.deleteIdentity(alice))).rejects.toBeInstanceOf(ChangedMeanwhile)
      const successor = makeIdentity('alice')
      await store.transaction(tx => tx.insertIdentity(successor))
      expect(await store.reader.findIdentity(SCOPE.account, 'alice')).toEqual(successor)
    })
  })

  it('a domain is written whole, and the daemon keys once', async () => {
    const domain = makeDomain()
    expect(await store.reader.findDomain(SCOPE.region)).toBeUndefined()
    await store.transaction(tx => tx.putDomain({ ...domain, state: 'creating', versions: [], tokens: [] }))
    const creating = await store.reader.findDomain(SCOPE.region)
    expect(creating).toEqual({ ...domain, state: 'creating', versions: [], tokens: [] })
    await store.transaction(tx => tx.putDomain(domain))
    expect(await store.reader.findDomain(SCOPE.region)).toEqual(domain)
    const retired = { ...domain, tokens: domain.tokens.slice(1), versions: domain.versions.slice(1) }
    await store.transaction(tx => tx.putDomain(retired))
    expect(await store.reader.findDomain(SCOPE.region)).toEqual(retired)

    const daemonKey = makeDaemonKey()
    await store.transaction(tx => tx.insertDaemonKey(daemonKey))
    expect(await store.reader.findDaemonKey('identity')).toEqual(daemonKey)
    expect(await store.reader.findDaemonKey('session')).toBeUndefined()
    await expect(store.transaction(tx => tx.insertDaemonKey(daemonKey))).rejects.toBeInstanceOf(AlreadyStored)
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
      expect(await again.reader.findKey(SCOPE, key.id)).toEqual(key)
      expect(await again.reader.findAlias(SCOPE, 'alias/one')).toEqual(makeAlias(key))
      expect(await again.reader.listTags(SCOPE, key.id, FIRST_PAGE)).toEqual([{ key: 'a', value: 'b' }])
      expect(await again.reader.findAccessKey(accessKey.id)).toEqual({ accessKey, identity: alice })
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
      ]
      expect(await Promise.all([...reads(), ...reads()])).toHaveLength(6)
      expect(store.hot.databaseReads).toBe(3)
      expect(store.hot.size).toBe(3)
      expect(reads()).toEqual([key, makeAlias(key), { accessKey, identity: alice }])
      expect(store.hot.databaseReads).toBe(3)
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
        owner: await store.hot.accessKey(accessKey.id),
      })
      await hot()
      await store.hot.key(SCOPE, other.id)

      const disabled = { ...key, state: 'Disabled' as const, generation: 2 }
      await store.transaction(tx => tx.updateKey(disabled))
      expect((await hot()).key).toEqual(disabled)
      expect(store.hot.key(SCOPE, other.id)).toEqual(other)
      await store.transaction(tx => tx.updateAlias({ ...makeAlias(key), keyId: other.id }))
      expect((await hot()).alias?.keyId).toBe(other.id)
      await store.transaction(tx => tx.deleteKey(other, 1))
      expect((await hot()).alias).toBeUndefined()
      await store.transaction(tx => tx.updateAccessKey({ ...accessKey, active: false }))
      expect((await hot()).owner?.accessKey.active).toBe(false)
      await store.transaction(tx => tx.putIdentityPolicy(alice, 'FullAccess', 'changed'))
      expect((await hot()).owner?.identity.policies.get('FullAccess')).toBe('changed')
      await store.transaction(tx => tx.deleteIdentityPolicy(alice, 'FullAccess'))
      expect((await hot()).owner?.identity.policies.has('FullAccess')).toBe(false)
      await store.transaction(tx => tx.deleteIdentity(alice))
      expect((await hot()).owner).toBeUndefined()
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
      await new Promise(resolve => setTimeout(resolve, FOREIGN_CHANGE_MS))
      expect((await store.hot.key(SCOPE, key.id))?.state).toBe('Disabled')
    })
  })
})
