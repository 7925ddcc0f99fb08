/**
 * Fills the key store of an instance that `strongroom init` has made with many keys, for growth runs: their records carry
 * MACs of the token and stand in the ledger, as those of keys that were made by requests do. They share one EKT record, so a
 * host refuses to use them; make the keys that are to be used through the API. No daemon may run.
 *
 *     ./scripts/node scripts/fill-store.ts --config FILE --keys 1000000
 */
import { DatabaseSync, type SQLInputValue } from 'node:sqlite'
import { Command } from 'commander'
import { openKeyStore } from '../src/cli/open-key-store.ts'
import { Progress } from '../src/cli/progress.ts'
import { loadConfiguration } from '../src/config/load.ts'
import { openStateFolder } from '../src/config/state-folder.ts'
import {
  branchHash,
  bucketHash,
  EMPTY_BRANCH,
  FAN_OUT,
  LEDGER_DIGEST_BYTES,
  leafOf,
  ledgerDigest,
  type NamedRow,
  placeOf,
} from '../src/formats/row-ledger.ts'
import { type RowValues, rowContent } from '../src/formats/row-mac.ts'
import { kidOf, newKeyId } from '../src/model/key-id.ts'
import type { RowMac, RowSigner } from '../src/store/row-signer.ts'
import { createLogger } from '../src/telemetry/logger.ts'

/** Keys of one transaction, whose MACs are made beside each other. */
const BATCH = 4_096
const ATTEMPTS_MAX = 20

const { config, keys } = new Command('fill-store')
  .requiredOption('-c, --config <FILE>', 'configuration of the instance')
  .requiredOption('--keys <N>', 'keys to make', Number)
  .parse()
  .opts<{ config: string; keys: number }>()

const configuration = loadConfiguration(config)
const region = configuration.regions[0]?.name ?? ''
const { account } = configuration
const path = openStateFolder(configuration.stateDir).store
await using resources = new AsyncDisposableStack()
const { pools, rows } = await openKeyStore(configuration, { path, logger: createLogger('warn') }, resources)
const pool = await pools.poolOf(region)
if (pool === undefined) throw new Error('the configuration names no region')
const owner = { account, kid: kidOf(newKeyId()), keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' }
const ekt = Buffer.from((await pool.call('createBackingKey', owner)).record)

const database = new DatabaseSync(path)
database.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -200000')
const head = database.prepare('SELECT * FROM ledger_heads WHERE region = ?').get(region)
if (head === undefined) throw new Error('the key store has no ledger: run "strongroom init" first')
/** From the MACs, so that a run that was cut off is taken up by the next. */
const buckets = new Map<number, Buffer[]>()
const standing = database.prepare('SELECT table_name, primary_key, mac FROM row_macs WHERE region = ?')
for (const { table_name: table, primary_key: primaryKey, mac } of standing.iterate(region))
  enter({ table: String(table), primaryKey: String(primaryKey) }, Buffer.from(mac as Uint8Array))

const insertKey = insertion('keys', [
  ...['region', 'account', 'id', 'spec', 'usage', 'origin', 'state', 'description', 'policy', 'policy_principals'],
  ...['created_at_ms', 'generation'],
])
const insertMaterial = insertion('materials', [
  ...['region', 'account', 'key_id', 'id', 'state', 'created_at_ms', 'ekt', 'dk_version'],
])
const insertMac = insertion('row_macs', ['table_name', 'primary_key', 'generation', 'region', 'mac_version', 'mac'])
const readKey = database.prepare('SELECT * FROM keys WHERE region = ? AND account = ? AND id = ?')
const readMaterial = database.prepare('SELECT * FROM materials WHERE region = ? AND account = ? AND key_id = ?')
const policy = JSON.stringify({
  Version: '2012-10-17',
  Statement: [{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${account}:root` }, Action: 'kms:*', Resource: '*' }],
})

const progress = new Progress('keys')
for (let done = 0; done < keys; ) {
  const count = Math.min(BATCH, keys - done)
  database.exec('BEGIN IMMEDIATE')
  await fillBatch(count)
  database.exec('COMMIT')
  done += count
  progress.update({ done, total: keys })
}
progress.end()
await writeLedger()
database.close()

async function fillBatch(count: number): Promise<void> {
  const now = Date.now()
  const unsigned = Array.from({ length: count }, () => {
    const id = newKeyId()
    const named = [region, account, id] as const
    const facts = ['SYMMETRIC_DEFAULT', 'ENCRYPT_DECRYPT', 'AWS_KMS', 'Enabled', '', policy, '[]', now, 1]
    insertKey.run(...named, ...facts)
    insertMaterial.run(...named, id.replaceAll('-', '').repeat(2), 'CURRENT', now, ekt, 1)
    const found = [
      { table: 'keys', values: readKey.get(...named) as RowValues },
      { table: 'materials', values: readMaterial.get(...named) as RowValues },
    ]
    return { table: 'keys', primaryKey: named.join('/'), generation: now, content: rowContent(found), region }
  })
  const macs = await signed(unsigned)
  for (const [at, { table, primaryKey, generation }] of unsigned.entries()) {
    const { macVersion, mac } = macs[at]!
    insertMac.run(table, primaryKey, generation, region, macVersion, mac)
    enter({ table, primaryKey }, mac)
  }
}

/** Tries again: hosts are given up quickly on a machine that has other things to do. */
async function signed(unsigned: Parameters<RowSigner['sign']>[0]): Promise<RowMac[]> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await rows.signer.sign(unsigned)
    } catch (error) {
      if (attempt === ATTEMPTS_MAX) throw error
    }
  }
}

function enter(row: NamedRow, mac: Buffer): void {
  const place = placeOf(row)
  const leaves = buckets.get(place) ?? []
  leaves.push(Buffer.from(leafOf(row, mac)))
  buckets.set(place, leaves)
}

async function writeLedger(): Promise<void> {
  const branches = Buffer.from(head!.branches as Uint8Array)
  const nodes = new Map<number, Buffer>()
  const putBucket = insertion('ledger_buckets', ['region', 'bucket', 'leaves'])
  const putBranch = insertion('ledger_branches', ['region', 'branch', 'buckets'])
  database.exec('BEGIN IMMEDIATE')
  for (const [place, leaves] of buckets) {
    const bytes = Buffer.concat(leaves.toSorted(Buffer.compare))
    const number = Math.floor(place / FAN_OUT)
    const node = nodes.get(number) ?? Buffer.from(EMPTY_BRANCH)
    bucketHash(bytes).copy(node, (place % FAN_OUT) * LEDGER_DIGEST_BYTES)
    nodes.set(number, node)
    putBucket.run(region, place, bytes)
  }
  for (const [number, node] of nodes) {
    branchHash(node).copy(branches, number * LEDGER_DIGEST_BYTES)
    putBranch.run(region, number, node)
  }
  const epoch = Number(head!.epoch) + 1
  const next = {
    table: 'ledger_heads',
    primaryKey: region,
    generation: epoch,
    content: ledgerDigest(branches),
    region,
  }
  const [made] = await signed([next])
  insertion('ledger_heads', ['region', 'epoch', 'branches', 'mac_version', 'mac']).run(
    ...[region, epoch, branches, made!.macVersion, made!.mac],
  )
  database.exec('COMMIT')
}

function insertion(table: string, columns: readonly string[]): { run(...values: SQLInputValue[]): unknown } {
  const places = columns.map(() => '?').join(', ')
  return database.prepare(`INSERT OR REPLACE INTO ${table} (${columns.join(', ')}) VALUES (${places})`)
}
