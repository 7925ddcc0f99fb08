/** Officers, approvals and listings, held against their MACs: what was changed by hand is refused, or left out, and named. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/store.ts'
import { TestSigner } from '../support/row-signer.ts'
import {
  makeAccessKey,
  makeAlias,
  makeApproval,
  makeApprovalRequest,
  makeGrant,
  makeIdentity,
  makeKey,
  makeManagedPolicy,
  makeOfficer,
  makeTemporaryFolder,
  SCOPE,
} from '../unit/store/records.ts'

let folder: ReturnType<typeof makeTemporaryFolder>
let store: Store
let refused: string[]

const path = () => join(folder.path, 'store.db')
const open = () =>
  openStore({
    path: path(),
    rows: {
      signer: new TestSigner(),
      onRefused: ({ table, primaryKey, reason }) => void refused.push(`${table} ${primaryKey}: ${reason}`),
    },
  })

beforeEach(async () => {
  folder = makeTemporaryFolder()
  refused = []
  store = await open()
  await store.rowMacs.complete()
})

afterEach(async () => {
  await store.close()
  folder.remove()
})

/** While the store is closed: this process must not open the file by other means otherwise. */
async function byHand(sql: string, ...values: (string | number)[]): Promise<void> {
  await store.close()
  const database = new DatabaseSync(path())
  database.prepare(sql).run(...values)
  database.close()
  store = await open()
}

async function insertKey() {
  const key = makeKey()
  await store.transaction(tx => tx.insertKey(key))
  return key
}

describe('records with MACs', () => {
  it('refuse officers and approvals that were changed, added, taken away or put back', async () => {
    const officers = [makeOfficer('alice'), makeOfficer('bob')]
    const request = makeApprovalRequest()
    await store.transaction(async tx => {
      await tx.putDualControl({ generation: 1, threshold: 2, officers })
      await tx.insertApprovalRequest(request)
    })
    await store.transaction(tx => tx.insertApproval(request.id, makeApproval(officers[0]!)))
    const done = { ...request, state: 'done' as const, generation: 2 }
    await store.transaction(tx => tx.updateApprovalRequest(done))
    expect(await store.reader.findDualControl()).toMatchObject({ threshold: 2, officers })
    expect(await store.reader.findApprovalRequest(request.id)).toMatchObject({ state: 'done' })
    await byHand("UPDATE approval_requests SET state = 'open'")
    await expect(store.reader.findApprovalRequest(request.id)).rejects.toMatchObject({ name: 'RowRefused' })
    expect(await store.reader.listApprovalRequests(['open'], 9)).toEqual([])
    const using = store.transaction(tx => tx.listApprovalRequests(['open'], 9))
    await expect(using).rejects.toMatchObject({ name: 'RowRefused' })
    for (const [change, undo] of [
      ['UPDATE dual_control SET threshold = 0', 'UPDATE dual_control SET threshold = 2'],
      ["INSERT INTO officers VALUES ('eve', 'k', 'f', 1)", "DELETE FROM officers WHERE name = 'eve'"],
      ["UPDATE officers SET name = 'eve' WHERE name = 'bob'", "UPDATE officers SET name = 'bob' WHERE name = 'eve'"],
      ['DELETE FROM dual_control', "INSERT INTO dual_control VALUES ('ceremonies', 2, 1)"],
    ] as const) {
      refused = []
      await byHand(change)
      await expect(store.reader.findDualControl()).rejects.toMatchObject({ name: 'RowRefused' })
      expect(refused).toEqual(['dual_control ceremonies: its MAC does not match it'])
      await expect(
        store.transaction(async tx =>
          tx.putDualControl({ ...(await tx.findDualControl()), threshold: 1, generation: 2 }),
        ),
      ).rejects.toThrow()
      await byHand(undo)
      expect(await store.reader.findDualControl()).toMatchObject({ threshold: 2, officers })
    }
  })

  it('are left out of listings when they were changed, and the others are all there', async () => {
    const keys = await Promise.all(Array.from({ length: 5 }, insertKey))
    const ids = keys.map(({ id }) => id).sort()
    for (const key of keys) await store.transaction(tx => tx.insertAlias(makeAlias(key, `alias/${key.id}`)))
    const retired = makeGrant()
    await store.transaction(tx => tx.insertGrant(keys[0]!, retired))
    const retiring = retired.retiring!
    const scope = SCOPE
    const all = { after: undefined, limit: 9 }
    const [edited, repointed] = [ids[1]!, ids[3]!]
    expect(await store.reader.listGrantsToRetire(SCOPE.region, retiring, all)).toHaveLength(1)
    await byHand("UPDATE keys SET description = 'edited' WHERE id = ?", edited)
    await byHand('UPDATE aliases SET key_id = ? WHERE name = ?', ids[0]!, `alias/${repointed}`)
    const touched = [edited, ids[0]!, repointed]
    const left = ids.filter(id => !touched.includes(id))
    expect(await store.reader.listKeyIds(scope, all)).toEqual(left)
    expect((await store.reader.listAliases(scope, undefined, all)).map(({ keyId }) => keyId).sort()).toEqual(left)
    // A page is full as long as something follows it.
    expect(await store.reader.listKeyIds(scope, { after: undefined, limit: 1 })).toEqual(left.slice(0, 1))
    expect(await store.reader.listKeyIds(scope, { after: left[0], limit: 2 })).toEqual(left.slice(1))
    expect(new Set(refused.map(line => line.split(':')[0]))).toEqual(
      new Set([
        ...touched.map(id => `keys ${SCOPE.region}/${SCOPE.account}/${id}`),
        `aliases ${SCOPE.region}/${SCOPE.account}/alias/${repointed}`,
      ]),
    )
    await byHand("UPDATE grants SET retiring = 'arn:aws:iam::000000000001:user/eve'")
    expect(await store.reader.listGrantsToRetire(SCOPE.region, 'arn:aws:iam::000000000001:user/eve', all)).toEqual([])
  })

  it('are left out of listings of identities, policies and access keys, too', async () => {
    const [ann, ben, policy] = [makeIdentity('ann'), makeIdentity('ben'), makeManagedPolicy('Readers')]
    await store.transaction(async tx => {
      await tx.insertAccount({ id: SCOPE.account, name: '', createdAtMs: 1 })
      for (const identity of [ann, ben]) await tx.insertIdentity(identity)
      await tx.insertManagedPolicy(policy)
      await tx.insertAccessKey(makeAccessKey(ann))
    })
    const names = async () => ({
      identities: (await store.reader.listIdentities(SCOPE.account, 'user')).map(({ name }) => name),
      policies: (await store.reader.listManagedPolicies(SCOPE.account)).map(({ name }) => name),
      accessKeys: (await store.reader.listAccessKeys(ann.principalId)).length,
      accounts: (await store.reader.listAccounts()).length,
    })
    expect(await names()).toEqual({ identities: ['ann', 'ben'], policies: ['Readers'], accessKeys: 1, accounts: 1 })
    await byHand("UPDATE identities SET acts_for = '[1]' WHERE name = 'ann'")
    await byHand('UPDATE managed_policies SET default_version = 1, description = ?', 'x')
    await byHand('UPDATE access_keys SET active = 0')
    await byHand("UPDATE accounts SET name = 'x'")
    expect(await names()).toEqual({ identities: ['ben'], policies: [], accessKeys: 0, accounts: 0 })
  })

  it('are not signed as they are while they carry a MAC that is not theirs', async () => {
    const key = await insertKey()
    await byHand("UPDATE keys SET description = 'edited' WHERE id = ?", key.id)
    await byHand("DELETE FROM row_macs WHERE table_name = 'row_macs'")
    expect(await store.rowMacs.areComplete()).toBe(false)
    await expect(store.rowMacs.complete()).rejects.toMatchObject({ name: 'RowRefused', table: 'keys' })
    expect(await store.rowMacs.areComplete()).toBe(false)
  })
})
