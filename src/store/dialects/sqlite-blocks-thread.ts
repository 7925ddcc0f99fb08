/** The thread that adds blocks of the audit log to the key store, and removes the oldest (sqlite-blocks.ts). */
import { constants, getPriority, setPriority } from 'node:os'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { parentPort, workerData } from 'node:worker_threads'
import { Kysely } from 'kysely'
import { StoreLocked, StoreUnwritable } from '../faults.ts'
import { addBlock, deletePendingEvents, expireBlocks } from '../sql/audit.ts'
import type { Tables } from '../sql/tables.ts'
import type { BlockAnswer, BlockRequest, BlockThreadData } from './sqlite-blocks.ts'
import { NodeSqliteDialect } from './sqlite-driver.ts'

/** Against a thread that is as busy it still gets a quarter of a core, and needs a tenth of one at 10,000 events a second. */
const LESS_URGENT_BY = 5
/** So many blocks go in one transaction: others that write wait for it. */
const EXPIRED_AT_ONCE = 16

const { path, lockWaitMs } = workerData as BlockThreadData
const port = parentPort!
// Requests go first. On Linux a niceness is that of the calling thread.
setPriority(Math.min(getPriority() + LESS_URGENT_BY, constants.priority.PRIORITY_LOW))
// An empty file in the place of a store that is gone would have SQLite remove that one's WAL.
const location = pathToFileURL(path)
location.searchParams.set('mode', 'rw')
// Nobody waits here but this thread, so SQLite may wait for a lock itself.
const connection = new DatabaseSync(location, { timeout: lockWaitMs })
// Blocks hold nothing that must be overwritten when they go.
connection.exec('PRAGMA synchronous = FULL; PRAGMA secure_delete = OFF; PRAGMA trusted_schema = OFF')
const writer = new Kysely<Tables>({
  dialect: new NodeSqliteDialect(connection, { exclusive: true, writes: true, lockWaitMs: 0 }),
})
const dataVersion = connection.prepare('PRAGMA data_version')

async function answer(request: Exclude<BlockRequest, { kind: 'close' }>): Promise<number> {
  switch (request.kind) {
    case 'add':
      await writer.transaction().execute(async db => {
        await addBlock(db, request.block)
        await deletePendingEvents(db, request.chained)
      })
      letGo(request.block.lines)
      return 0
    case 'expire':
      return writer.transaction().execute(db => expireBlocks(db, request.beforeMs, request.maxBytes, EXPIRED_AT_ONCE))
    case 'version':
      return dataVersion.get()?.data_version as number
  }
}

let last: Promise<void> = Promise.resolve()
port.on('message', (request: BlockRequest) => {
  last = last.then(async () => {
    if (request.kind === 'close') {
      connection.close()
      port.close()
      return
    }
    const reply: BlockAnswer = await answer(request).then(
      value => ({ value }),
      (error: Error) => ({ error: inWords(error) }),
    )
    port.postMessage(reply)
  })
})

/** Classes are lost between threads. */
function inWords(error: Error): NonNullable<BlockAnswer['error']> {
  if (error instanceof StoreUnwritable) return { message: error.reason, kind: 'unwritable' }
  return { message: error.message, kind: error instanceof StoreLocked ? 'locked' : 'other' }
}

/** Frees a block's memory at once. Left to the collector, megabytes of it had the thread collect garbage all the time. */
function letGo({ buffer }: Uint8Array): void {
  if (buffer instanceof ArrayBuffer) buffer.transfer(0)
}
