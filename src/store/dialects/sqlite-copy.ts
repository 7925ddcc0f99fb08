/** Copies of a SQLite file: made while others write to it, and looked at as files of their own. */
import { chmodSync, closeSync, fsyncSync, openSync } from 'node:fs'
import { backup, DatabaseSync } from 'node:sqlite'
import { ledgerDigest } from '../../formats/row-ledger.ts'
import { StoreUnusable } from '../faults.ts'
import type { CopiedHead } from '../stored-row-macs.ts'

/** Pages copied between two words about the progress. */
const PAGES_AT_ONCE = 4_096
const FAULTS_NAMED = 20

/**
 * Writes a copy of one moment, with mode 0600, on disk when the promise resolves. The read transaction that is held for as
 * long as it takes keeps that moment: a backup otherwise begins anew whenever another connection has written.
 */
export async function copyDatabase(
  from: string,
  to: string,
  onProgress: (progress: { done: number; total: number }) => void,
): Promise<void> {
  closeSync(openSync(to, 'wx', 0o600))
  const source = new DatabaseSync(from, { readOnly: true })
  try {
    source.exec('BEGIN; SELECT count(*) FROM sqlite_schema')
    const progress = ({ totalPages, remainingPages }: { totalPages: number; remainingPages: number }) =>
      onProgress({ done: totalPages - remainingPages, total: totalPages })
    await backup(source, to, { rate: PAGES_AT_ONCE, progress })
  } finally {
    source.close()
  }
  const copy = new DatabaseSync(to)
  try {
    // One file, without a log beside it.
    copy.exec('PRAGMA journal_mode = DELETE')
  } finally {
    copy.close()
  }
  chmodSync(to, 0o600)
  syncFile(to)
}

/** The heads of the ledgers in a copy. Throws StoreUnusable when SQLite finds the file broken. */
export function readCopy(path: string): CopiedHead[] {
  const copy = new DatabaseSync(path, { readOnly: true })
  try {
    const found = copy.prepare(`PRAGMA quick_check(${FAULTS_NAMED})`).all()
    const faults = found.map(row => String(Object.values(row)[0])).filter(text => text !== 'ok')
    if (faults.length > 0) throw new StoreUnusable(`${path} is damaged: ${faults.join('; ')}`)
    const rows = copy
      .prepare('SELECT region, epoch, branches, mac_version, mac FROM ledger_heads ORDER BY region')
      .all()
    return rows.map(({ region, epoch, branches, mac_version, mac }) => ({
      ...{ region: String(region), epoch: Number(epoch), digest: ledgerDigest(Buffer.from(branches as Uint8Array)) },
      ...{ macVersion: Number(mac_version), mac: Buffer.from(mac as Uint8Array) },
    }))
  } catch (error) {
    if (error instanceof StoreUnusable) throw error
    throw new StoreUnusable(`${path} is not a copy of a key store: ${(error as Error).message}`, { cause: error })
  } finally {
    copy.close()
  }
}

function syncFile(path: string): void {
  const file = openSync(path, 'r')
  try {
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
}
