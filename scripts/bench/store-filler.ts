/**
 * Fills a key store with keys, much faster than CreateKey, while no daemon runs on it: copies of one key that CreateKey made,
 * each with an id, an HBK and a MAC of its own, all made in the tokens. Rows are inserted in bulk, and the ledger is written
 * once, at the end; what is there then is what CreateKey would have left, so that a daemon finds nothing wrong with any of it.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { CompiledQuery } from 'kysely'
import { type RowValues, rowContent } from '../../src/formats/row-mac.ts'
import type { HsmPool } from '../../src/hsm/pool/pool.ts'
import { createBackingKey } from '../../src/keyring/backing-keys.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import type { Database } from '../../src/store/dialects/database.ts'
import { openSqlite } from '../../src/store/dialects/sqlite.ts'
import { Ledger } from '../../src/store/ledger.ts'
import { RowGuard } from '../../src/store/row-guard.ts'
import type { RowProtection } from '../../src/store/row-signer.ts'
import { primaryKeyOf, rowName } from '../../src/store/sql/aggregates.ts'
import { changeKeyCount } from '../../src/store/sql/key-counts.ts'
import type { FoundRow, StoredMac } from '../../src/store/sql/row-macs.ts'
import type { Handle } from '../../src/store/sql/tables.ts'
import type { Store } from '../../src/store/store.ts'

/** Keys of one transaction; as many HBKs are made at once, which is fewer than a pool takes. */
const BATCH = 512
const REPORTED_KEYS = 50_000
const LOCK_WAIT_MS = 5_000
/** A pool gives up quickly on a machine that has much else to do; here there is time. */
const ATTEMPTS_MAX = 60
const PAUSE_MS = 1_000
/** The key's home has tokens that wrap. */
const HOME = { resident: false, serials: undefined }

export interface FillerParts {
  /** The file of the store, which is open. */
  readonly path: string
  readonly store: Store
  readonly rows: RowProtection
  readonly pool: HsmPool
  readonly template: { readonly region: string; readonly account: string; readonly id: string }
}

/** A key that is not stored yet. */
interface Made {
  readonly id: string
  readonly mid: Buffer
  readonly record: Buffer
}

interface Entered {
  readonly id: string
  readonly mac: StoredMac
}

/** Adds so many keys, and returns their ids in ascending order; `progress` hears now and then how many there are. */
export async function fillStore(
  parts: FillerParts,
  count: number,
  progress: (added: number) => void,
): Promise<string[]> {
  const database = await openSqlite({ path: parts.path, lockWaitMs: LOCK_WAIT_MS })
  try {
    const filler = new StoreFiller(parts, database)
    return await filler.add(count, progress)
  } finally {
    await database.close()
  }
}

class StoreFiller {
  readonly #parts: FillerParts
  readonly #database: Database
  readonly #guard: RowGuard

  constructor(parts: FillerParts, database: Database) {
    this.#parts = parts
    this.#database = database
    this.#guard = new RowGuard(parts.rows, database)
  }

  async add(count: number, progress: (added: number) => void): Promise<string[]> {
    const template = await this.#template()
    // In their order, so that the indices grow at one end: ten times less is written.
    const ids = Array.from({ length: count }, () => flat(newKeyId())).sort()
    const entered: Entered[] = []
    let next = this.#make(ids.slice(0, BATCH))
    for (let at = 0; at < count; at += BATCH) {
      const made = await next
      // The tokens make the next ones while these are written.
      next = this.#make(ids.slice(at + BATCH, at + 2 * BATCH))
      entered.push(...(await this.#insert(template, made)))
      const before = Math.floor(at / REPORTED_KEYS)
      if (Math.floor(entered.length / REPORTED_KEYS) > before) progress(entered.length)
    }
    await this.#enterInLedger(entered)
    return ids
  }

  /** The rows that are copied. */
  async #template(): Promise<{ key: RowValues; material: RowValues }> {
    const { region, account, id } = this.#parts.template
    const [key] = await query(this.#database.reader, 'select * from keys where region = ? and account = ? and id = ?', [
      ...[region, account, id],
    ])
    const [material] = await query(
      this.#database.reader,
      'select * from materials where region = ? and account = ? and key_id = ?',
      [region, account, id],
    )
    return { key: key!, material: material! }
  }

  #make(ids: readonly string[]): Promise<Made[]> {
    const { pool, template, store } = this.#parts
    return Promise.all(
      ids.map(async id => {
        const request = {
          account: template.account,
          kid: kidOf(id),
          keySpec: 'SYMMETRIC_DEFAULT',
          keyUsage: 'ENCRYPT_DECRYPT',
        }
        const { ekt, mid } = await persistently(() => createBackingKey({ store, clock: Date.now }, pool, request, HOME))
        return { id, mid, record: ekt.record }
      }),
    )
  }

  async #insert(template: { key: RowValues; material: RowValues }, made: readonly Made[]): Promise<Entered[]> {
    const copies = made.map(({ id, mid, record }) => ({
      id,
      key: { ...template.key, id },
      material: { ...template.material, key_id: id, id: mid.toString('hex'), ekt: record },
    }))
    const unsigned = copies.map(({ id, key, material }) => this.#unsigned(id, key, material))
    const macs = await persistently(() => this.#guard.sign(unsigned))
    await this.#database.writer.transaction().execute(async db => {
      for (const [at, { id, key, material }] of copies.entries()) {
        await insert(db, 'keys', key)
        await insert(db, 'materials', material)
        const { generation, region, macVersion, mac } = macs[at]!
        const primary_key = primaryKeyOf(this.#nameOf(id))
        await insert(db, 'row_macs', {
          table_name: 'keys',
          primary_key,
          generation,
          region,
          mac_version: macVersion,
          mac,
        })
      }
    })
    return copies.map(({ id }, at) => ({ id, mac: macs[at]! }))
  }

  #nameOf(id: string) {
    const { region, account } = this.#parts.template
    return rowName('keys', region, account, id)
  }

  #unsigned(id: string, key: RowValues, material: RowValues): FoundRow {
    const content = rowContent([
      { table: 'keys', values: key },
      { table: 'materials', values: material },
    ])
    return { name: this.#nameOf(id), content, stored: undefined, ledger: new Ledger(this.#database.reader) }
  }

  async #enterInLedger(entered: readonly Entered[]): Promise<void> {
    await this.#database.writer.transaction().execute(async db => {
      const ledger = new Ledger(db)
      for (const { id, mac } of entered) {
        const name = this.#nameOf(id)
        await ledger.replace(mac.region, { table: name.table, primaryKey: primaryKeyOf(name) }, undefined, mac.mac)
      }
      await ledger.write(heads => this.#guard.signHeads(ledger, heads))
      await changeKeyCount(db, this.#parts.template, entered.length)
    })
  }
}

/** A text in one piece: one that was put together keeps its pieces, and a million of those take 500 MB. */
function flat(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1')
}

async function persistently<T>(ask: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await ask()
    } catch (error) {
      if (attempt === ATTEMPTS_MAX) throw error
      await sleep(PAUSE_MS)
    }
  }
}

async function insert(db: Handle, table: string, values: RowValues): Promise<void> {
  const columns = Object.keys(values)
  const sql = `insert into ${table} (${columns.join(', ')}) values (${columns.map(() => '?').join(', ')})`
  await query(db, sql, Object.values(values))
}

async function query(db: Handle, sql: string, values: readonly unknown[]): Promise<RowValues[]> {
  const { rows } = await db.executeQuery<RowValues>(CompiledQuery.raw(sql, [...values]))
  return rows
}
