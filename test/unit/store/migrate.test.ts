/** Migrations reach a store in the order in which branches of the program bring them. */
import { join } from 'node:path'
import { expect, it } from '@jest/globals'
import type { Kysely } from 'kysely'
import { Migrator } from 'kysely/migration'
import { openSqlite } from '../../../src/store/dialects/sqlite.ts'
import { createFirstTables } from '../../../src/store/migrations/0001-first-tables.ts'
import { createOfficerTables } from '../../../src/store/migrations/0004-officers.ts'
import { openStore } from '../../../src/store/open-store.ts'
import { makeDomain, makeOfficer, makeTemporaryFolder } from './records.ts'

it('a migration with a lower number reaches a store that has had one with a higher', async () => {
  const folder = makeTemporaryFolder()
  const path = join(folder.path, 'store.db')
  const dualControl = { generation: 1, threshold: 0, officers: [makeOfficer('alice')] }
  try {
    const database = await openSqlite({ path, lockWaitMs: 1_000 })
    const provider = {
      getMigrations: async () => ({
        '0001-first-tables': { up: (db: Kysely<unknown>) => createFirstTables(db, database.bytesColumn) },
        '0004-officers': { up: createOfficerTables },
      }),
    }
    const tables = { migrationTableName: 'migrations', migrationLockTableName: 'migrations_lock' }
    const { error } = await new Migrator({ db: database.writer, provider, ...tables }).migrateToLatest()
    expect(error).toBeUndefined()
    await database.close()

    const store = await openStore({ path })
    try {
      const domain = makeDomain()
      await store.transaction(async tx => {
        await tx.putDualControl(dualControl)
        await tx.putDomain(domain)
      })
      expect(await store.reader.findDualControl()).toEqual(dualControl)
      expect((await store.reader.findDomain(domain.region))?.generation).toBe(domain.generation)
    } finally {
      await store.close()
    }
  } finally {
    folder.remove()
  }
})
