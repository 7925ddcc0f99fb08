/** What a store of an older program holds is there after it has been opened by this one. */
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, it } from '@jest/globals'
import { Kysely } from 'kysely'
import { dkVersionOf } from '../../../src/formats/ekt.ts'
import { NodeSqliteDialect } from '../../../src/store/dialects/sqlite-driver.ts'
import { createFirstTables } from '../../../src/store/migrations/0001-first-tables.ts'
import { openStore } from '../../../src/store/open-store.ts'
import type { ImportKey } from '../../../src/store/records.ts'
import { makeEkt, makeKey, makeTemporaryFolder } from './records.ts'

let folder: ReturnType<typeof makeTemporaryFolder>
beforeEach(() => {
  folder = makeTemporaryFolder()
})
afterEach(() => folder.remove())

/** A store as the first release made it, with these rows. */
async function makeFirstStore(path: string, rows: string): Promise<void> {
  const database = new DatabaseSync(path)
  database.exec(`PRAGMA application_id = ${0x53526b73}; PRAGMA foreign_keys = ON`)
  const dialect = new NodeSqliteDialect(database, { exclusive: true, lockWaitMs: 1_000 })
  const db = new Kysely<unknown>({ dialect })
  await createFirstTables(db, 'blob')
  database.exec(`
    create table migrations (name varchar(255) primary key not null, timestamp varchar(255) not null);
    create table migrations_lock (id varchar(255) primary key not null, is_locked integer default 0 not null);
    insert into migrations values ('0001-first-tables', '2026-01-01T00:00:00Z');
    insert into migrations_lock values ('migration_lock', 0);
    ${rows}`)
  await db.destroy()
}

it('identities, their policies and access keys come along, and every account gets its root', async () => {
  const path = join(folder.path, 'store.db')
  await makeFirstStore(
    path,
    `insert into accounts values ('000000000001', 5);
     insert into identities values ('AIDA1', '000000000001', 'user', '/', 'admin', 6);
     insert into identity_policies values ('AIDA1', 'FullAccess', '{}');
     insert into access_keys values ('AKIA1', 'AIDA1', 1, x'0102', 7);`,
  )
  const { reader, close } = await openStore({ path })
  try {
    expect(await reader.listAccounts()).toEqual([{ id: '000000000001', name: '', createdAtMs: 5 }])
    expect(await reader.listIdentities('000000000001', 'user')).toEqual([
      expect.objectContaining({ principalId: 'AIDA1', name: 'admin', generation: 1, createdAtMs: 6 }),
    ])
    expect((await reader.findPrincipal('AIDA1'))?.policies.map(({ document }) => document)).toEqual(['{}'])
    expect(await reader.listAccessKeys('AIDA1')).toEqual([
      { id: 'AKIA1', principalId: 'AIDA1', active: true, sealedSecret: Buffer.from([1, 2]), createdAtMs: 7 },
    ])
    expect(await reader.findIdentity('000000000001', 'root', 'root')).toMatchObject({
      principalId: '000000000001',
      arn: 'arn:aws:iam::000000000001:root',
    })
  } finally {
    await close()
  }
})

it('wrapping keys of imports are found by the domain key version that their records name', async () => {
  const path = join(folder.path, 'store.db')
  const key = makeKey({ state: 'PendingImport', origin: 'EXTERNAL', current: undefined }, [])
  const importKey: ImportKey = {
    ...{ region: key.region, account: key.account, keyId: key.id, importId: Buffer.alloc(16, 1) },
    ...{ algorithm: 'RSAES_OAEP_SHA_1', spec: 'RSA_2048', ekt: makeEkt(), notAfterMs: 10, attempts: 0 },
  }
  const store = await openStore({ path })
  await store.transaction(async tx => {
    await tx.insertKey(key)
    await tx.insertImportKey(importKey)
  })
  await store.close()
  const database = new DatabaseSync(path)
  database.exec(`
    alter table import_keys drop column dk_version;
    delete from migrations where name = '0014-import-key-versions'`)
  database.close()
  const { reader, close } = await openStore({ path })
  try {
    expect(await reader.countEkts(key.region, dkVersionOf(importKey.ekt.record))).toBe(1)
  } finally {
    await close()
  }
})

it('keys are counted as they are', async () => {
  const path = join(folder.path, 'store.db')
  const keys = [makeKey(), makeKey(), makeKey({ managedBy: 'storage.amazonaws.com' }), makeKey({ region: 'on-prem-2' })]
  const store = await openStore({ path })
  await store.transaction(async tx => {
    for (const key of keys) await tx.insertKey(key)
  })
  await store.close()
  const database = new DatabaseSync(path)
  database.exec(`
    drop table key_counts;
    alter table key_uses drop column event_id;
    create index keys_of_services on keys (region, account) where managed_by is not null;
    delete from migrations where name = '0018-uses-and-counts'`)
  database.close()
  const { reader, check, close } = await openStore({ path })
  try {
    expect(await Promise.all(keys.map(key => reader.countKeys(key)))).toEqual([2, 2, 2, 1])
    const changing = new DatabaseSync(path)
    changing.exec(`update key_counts set key_count = 7 where region = 'on-prem-2'`)
    changing.close()
    const found = (await Array.fromAsync(check())).flatMap(step => step.found)
    const { region, account } = keys[3]!
    expect(found.filter(({ table }) => table === 'key_counts')).toEqual([
      {
        ...{ table: 'key_counts', primaryKey: `${region}/${account}` },
        reason: "it counts 7 keys for the account's quota, and 1 are there",
      },
    ])
  } finally {
    await close()
  }
})
