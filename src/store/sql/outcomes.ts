/** What a statement did, held against what it had to do; and bytes as the rest of the program wants them. */
import { createHash } from 'node:crypto'
import type { DeleteResult, InsertResult, UpdateResult } from 'kysely'
import { residenceOf } from '../../formats/resident-key.ts'
import type { Ekt } from '../../model/key.ts'
import { AlreadyStored, ChangedMeanwhile } from '../faults.ts'

/** For an insert that does nothing on a conflict, which unlike an error leaves a PostgreSQL transaction usable. */
export function requireInserted(result: InsertResult, record: string): void {
  if (result.numInsertedOrUpdatedRows !== 1n) throw new AlreadyStored(`${record} exists already`)
}

export function requireUpdated(result: UpdateResult, record: string): void {
  if (result.numUpdatedRows !== 1n) throw new ChangedMeanwhile(`${record} has changed since it was read`)
}

export function requireDeleted(result: DeleteResult, record: string): void {
  if (result.numDeletedRows !== 1n) throw new ChangedMeanwhile(`${record} has changed since it was read`)
}

/** A view of the same memory. */
export function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

export function ektOf(bytes: Uint8Array): Ekt {
  const record = bufferOf(bytes)
  return { record, digest: createHash('sha256').update(record).digest(), holders: residenceOf(record)?.serials }
}
