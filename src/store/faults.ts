/**
 * What the key store refuses, as errors that the operations above it tell apart. Messages name records by their ids and
 * names, never by their content.
 */

/** A record of that name exists: nothing was written. */
export class AlreadyStored extends Error {
  override readonly name = 'AlreadyStored'
}

/**
 * The record is no longer the one that the caller read: another generation, gone, or pointing at one that is gone. Reading
 * again and deciding again is safe.
 */
export class ChangedMeanwhile extends Error {
  override readonly name: string = 'ChangedMeanwhile'
}

/**
 * The EKT record is under a domain key version that a rotation has left behind: nothing may be added under it, however stale
 * the daemon that made it. Making the key again, under the newest version, is safe.
 */
export class VersionSwept extends ChangedMeanwhile {}

/** Another process kept the store locked for longer than a request may wait. */
export class StoreLocked extends Error {
  override readonly name = 'StoreLocked'
}

/** The disk takes nothing more, fails, or can only be read: nothing was written. Trying again is safe. */
export class StoreUnwritable extends Error {
  override readonly name = 'StoreUnwritable'
  readonly reason: string

  constructor(reason: string, options?: ErrorOptions) {
    super(`the key store cannot be written: ${reason}`, options)
    this.reason = reason
  }
}

/**
 * For too long it has not been known whether other processes have changed the store, so nothing is answered from what memory
 * holds of it.
 */
export class StoreStale extends Error {
  override readonly name = 'StoreStale'

  constructor(reason: string, options: ErrorOptions) {
    super(`it cannot be seen whether others have changed the key store: ${reason}`, options)
  }
}

/** The file of the store is not where it was opened: other processes would find another one, or none. */
export class StoreMoved extends Error {
  override readonly name = 'StoreMoved'
}

/** The store cannot be opened by this program: another kind of file, or one that a newer Strongroom has written. */
export class StoreUnusable extends Error {
  override readonly name = 'StoreUnusable'
}

/** A record whose MAC does not match it: somebody has changed the database by other means than this program. */
export class RowRefused extends Error {
  override readonly name = 'RowRefused'
  readonly table: string
  readonly primaryKey: string

  constructor(table: string, primaryKey: string, reason: string) {
    super(`${table} ${primaryKey}: ${reason}`)
    this.table = table
    this.primaryKey = primaryKey
  }
}

/** The store is that of an earlier moment: a copy was put back, or the file is another one. */
export class StoreRolledBack extends Error {
  override readonly name = 'StoreRolledBack'
  readonly region: string

  /** Epochs of the region's ledger; `found` is undefined for a store without one. */
  constructor(region: string, found: number | undefined, expected: number) {
    const what = found === undefined ? 'has no ledger' : `stands at epoch ${found}`
    super(
      `the key store is older than what is known of it: that of region ${region} ${what}, and its tokens or this process have ` +
        `seen epoch ${expected}. Put the present store back; or, when it is lost, see "strongroom restore --help"`,
    )
    this.region = region
  }
}

/** A change of a record that carries a MAC, by a process that was opened without anybody who makes them. */
export class NoRowSigner extends Error {
  override readonly name = 'NoRowSigner'
}
