/** What lies where in the state folder, and its permissions: the folder is 0700 and belongs to the user the daemon runs as. */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'

export interface StateFolder {
  readonly path: string
  readonly store: string
  readonly adminSocket: string
  /** Where a ceremony that is running answers. */
  readonly ceremonySocket: string
  /** AWS's credentials file with the first access key, written by `init`. */
  readonly credentials: string
  /** Texts that officers are to sign. */
  readonly requests: string
}

/** The paths in a state folder, which is made when it is absent. */
export function openStateFolder(path: string): StateFolder {
  mkdirSync(path, { recursive: true, mode: 0o700 })
  chmodSync(path, 0o700)
  return {
    path,
    store: join(path, 'strongroom.db'),
    adminSocket: join(path, 'admin.sock'),
    ceremonySocket: join(path, 'ceremony.sock'),
    credentials: join(path, 'credentials'),
    requests: join(path, 'requests'),
  }
}
