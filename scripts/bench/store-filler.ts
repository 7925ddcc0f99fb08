/**
 * Fills a key store with keys, far faster than CreateKey, while no daemon runs on it. The rows are copies of one key's that
 * CreateKey made, each with an id, an HBK and MACs of its own, which come from the tokens: a daemon finds nothing wrong with
 * them.
 */
import { DatabaseSync, type SQLInputValue, type StatementSync } from 'node:sqlite'
import { dkVersionOf } from '../../src/formats/ekt.ts'
import { ROW_MAC_BYTES, type RowValues, rowContent } from '../../src/formats/row-mac.ts'
import { ROWS_MAX } from '../../src/hsm/contract/commands.ts'
import type { HsmPool } from '../../src/hsm/pool/pool.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import type { KeySpec, KeyUsage } from '../../src/model/key-specs.ts'

type Row = Record<string, SQLInputValue>

/** Batches of one command's rows that are under way at once. */
const LANES = 4

export class StoreFiller implements Disposable {
  readonly #database: DatabaseSync
  readonly #pool: Pick<HsmPool, 'call'>
  readonly #templates: { key: Row; material: Row; mac: Row }

  constructor(path: string, pool: Pick<HsmPool, 'call'>, templateKeyId: string) {
    this.#database = new DatabaseSync(path)
    this.#pool = pool
    const read = (sql: string) => this.#database.prepare(sql).get(templateKeyId) as Row
    this.#templates = {
      key: read('select * from keys where id = ?'),
      material: read('select * from materials where key_id = ?'),
      mac: read("select * from row_macs where table_name = 'keys' and primary_key like '%/' || ?"),
    }
  }

  get keys(): number {
    return Number((this.#database.prepare('select count(*) as count from keys').get() as Row).count)
  }

  /** Ids of keys in no order, the same ones every time. */
  ids(limit: number): string[] {
    const rows = this.#database.prepare('select id from keys order by id limit ?').all(limit)
    return rows.map(({ id }) => String(id))
  }

  /** Until the store holds so many keys; `progress` hears of every ten thousandth. */
  async fill(count: number, progress: (keys: number) => void): Promise<void> {
    let keys = this.keys
    const inserts = this.#inserts()
    const lane = async () => {
      while (keys < count) {
        const batch = Math.min(ROWS_MAX, count - keys)
        keys += batch
        const rows = await this.#make(batch)
        // One turn of the event loop, so that no other lane's rows come into this transaction.
        this.#database.exec('begin immediate')
        for (const row of rows) for (const insert of inserts) insert(row)
        this.#database.exec('commit')
        if (Math.floor(keys / 10_000) > Math.floor((keys - batch) / 10_000)) progress(keys)
      }
    }
    await Promise.all(Array.from({ length: LANES }, lane))
    this.#database.exec('pragma wal_checkpoint(truncate)')
  }

  [Symbol.dispose](): void {
    this.#database.close()
  }

  #inserts(): ((row: { key: Row; material: Row; mac: Row }) => void)[] {
    const insertInto = (table: string, template: Row): StatementSync => {
      const columns = Object.keys(template)
      const places = columns.map(() => '?').join(', ')
      return this.#database.prepare(`insert into ${table} (${columns.join(', ')}) values (${places})`)
    }
    const { key, material, mac } = this.#templates
    const [keys, materials, macs] = [
      insertInto('keys', key),
      insertInto('materials', material),
      insertInto('row_macs', mac),
    ]
    return [
      row => keys.run(...Object.values(row.key)),
      row => materials.run(...Object.values(row.material)),
      row => macs.run(...Object.values(row.mac)),
    ]
  }

  async #make(count: number): Promise<{ key: Row; material: Row; mac: Row }[]> {
    const { key, material, mac } = this.#templates
    const account = String(key.account)
    const kind = { keySpec: key.spec as KeySpec, keyUsage: key.usage as KeyUsage }
    const rows = await Promise.all(
      Array.from({ length: count }, async () => {
        const id = newKeyId()
        const made = await this.#pool.call('createBackingKey', { account, kid: kidOf(id), ...kind })
        const record = Buffer.from(made.record)
        const own = {
          key_id: id,
          id: Buffer.from(made.mid).toString('hex'),
          ekt: record,
          dk_version: dkVersionOf(record),
        }
        return { key: { ...key, id } as Row, material: { ...material, ...own } as Row }
      }),
    )
    const macedRows = rows.map(row => ({
      table: 'keys',
      primaryKey: [row.key.region, account, row.key.id].join('/'),
      generation: Number(mac.generation),
      content: rowContent([
        { table: 'keys', values: row.key as RowValues },
        { table: 'materials', values: row.material as RowValues },
      ]),
    }))
    const { macVersion, macs } = await this.#pool.call('macRows', { rows: macedRows })
    return rows.map((row, at) => ({
      ...row,
      mac: {
        ...mac,
        primary_key: macedRows[at]!.primaryKey,
        mac_version: macVersion,
        mac: Buffer.from(macs.subarray(at * ROW_MAC_BYTES, (at + 1) * ROW_MAC_BYTES)),
      },
    }))
  }
}
