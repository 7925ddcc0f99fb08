/** Brings the tables up to what this program expects, in one transaction: all of it or nothing. */
import type { Transaction } from 'kysely'
import { Migrator } from 'kysely/migration'
import type { Database } from '../dialects/database.ts'
import { StoreUnusable } from '../faults.ts'
import type { Tables } from '../sql/tables.ts'
import { createFirstTables } from './0001-first-tables.ts'
import { addDomainCeremonies } from './0002-domain-ceremonies.ts'
import { addDomainSchemes } from './0003-domain-schemes.ts'
import { createOfficerTables } from './0004-officers.ts'
import { createResidentObjects } from './0005-resident-objects.ts'
import { createGrants } from './0006-grants.ts'
import { completeIdentities } from './0007-identities.ts'
import { addPublicKeys } from './0008-public-keys.ts'
import { addKeyRotation } from './0009-key-rotation.ts'
import { addImportedMaterial } from './0010-imported-material.ts'
import { createRowMacs } from './0011-row-macs.ts'
import { addMultiRegionKeys } from './0012-multi-region-keys.ts'
import { addServices } from './0013-services.ts'
import { addImportKeyVersions } from './0014-import-key-versions.ts'
import { createKeyUses } from './0014-key-uses.ts'
import { indexKeysOfServices } from './0014-keys-of-services.ts'
import { createAuditLog } from './0015-audit-log.ts'
import { createRowLedger } from './0016-row-ledger.ts'
import { addUsesAndCounts } from './0018-uses-and-counts.ts'
import { addBlockEncoding } from './0019-packed-audit-blocks.ts'
import { createChangeCount } from './0021-change-count.ts'
import { addErasedKeys } from './0022-erased-keys.ts'
import { addChainOfPendingEvents } from './0023-chains-of-events.ts'

const MIGRATIONS = {
  '0001-first-tables': createFirstTables,
  '0002-domain-ceremonies': addDomainCeremonies,
  '0003-domain-schemes': addDomainSchemes,
  '0004-officers': createOfficerTables,
  '0005-resident-objects': createResidentObjects,
  '0006-grants': createGrants,
  '0007-identities': completeIdentities,
  '0008-public-keys': addPublicKeys,
  '0009-key-rotation': addKeyRotation,
  '0010-imported-material': addImportedMaterial,
  '0011-row-macs': createRowMacs,
  '0012-multi-region-keys': addMultiRegionKeys,
  '0013-services': addServices,
  '0014-import-key-versions': addImportKeyVersions,
  '0014-key-uses': createKeyUses,
  '0014-keys-of-services': indexKeysOfServices,
  '0015-audit-log': createAuditLog,
  '0016-row-ledger': createRowLedger,
  '0018-uses-and-counts': addUsesAndCounts,
  '0019-packed-audit-blocks': addBlockEncoding,
  '0021-change-count': createChangeCount,
  '0022-erased-keys': addErasedKeys,
  '0023-chains-of-events': addChainOfPendingEvents,
} as const

const MIGRATION_TABLE = 'migrations'
const LOCK_TABLE = 'migrations_lock'

/** Throws StoreUnusable when a newer program has written the store: what it means by its tables is not known here. */
export async function migrate({ writer, bytesColumn }: Database): Promise<void> {
  await writer.transaction().execute(async db => {
    await refuseNewer(db)
    const migrations = Object.entries(MIGRATIONS).map(([name, up]) => {
      return [name, { up: (handle: Transaction<unknown>) => up(handle, bytesColumn) }] as const
    })
    const { error } = await new Migrator({
      db,
      provider: { getMigrations: async () => Object.fromEntries(migrations) },
      migrationTableName: MIGRATION_TABLE,
      migrationLockTableName: LOCK_TABLE,
      // Migrations stand beside each other: one with a lower number may reach a store after one with a higher.
      allowUnorderedMigrations: true,
    }).migrateToLatest()
    if (error !== undefined) throw error
  })
}

async function refuseNewer(db: Transaction<Tables>): Promise<void> {
  const tables = await db.introspection.getTables({ withInternalKyselyTables: true })
  if (!tables.some(table => table.name === MIGRATION_TABLE)) return
  const handle = db.withTables<{ [MIGRATION_TABLE]: { name: string } }>()
  const rows = await handle.selectFrom(MIGRATION_TABLE).select('name').orderBy('name').execute()
  const unknown = rows.map(row => row.name).filter(name => !Object.hasOwn(MIGRATIONS, name))
  if (unknown.length === 0) return
  throw new StoreUnusable(
    `the key store was written by a newer Strongroom: this one does not know ${unknown.join(', ')}`,
  )
}
