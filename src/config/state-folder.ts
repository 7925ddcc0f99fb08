/** What lies where in the state folder, and its permissions: the folder is 0700 and belongs to the user the daemon runs as. */
import { chmodSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { ConfigurationError } from './load.ts'

export interface StateFolder {
  readonly path: string
  readonly store: string
  /** Locked by whoever owns the folder: a daemon, or a command that may not run beside one. */
  readonly lock: string
  readonly adminSocket: string
  /** Where a ceremony that is running answers. */
  readonly ceremonySocket: string
  /** AWS's credentials file with the first access key, written by `init`. */
  readonly credentials: string
  /** The files of the audit log. */
  readonly audit: string
  /** Texts that officers are to sign. */
  readonly requests: string
}

/** sun_path of unix(7) without its final zero. */
const SOCKET_PATH_MAX_BYTES = 107

/**
 * The paths in a state folder, which is made when it is absent. Throws ConfigurationError when this process may not use it,
 * as another user's may not.
 */
export function openStateFolder(path: string): StateFolder {
  const paths = stateFolderAt(path)
  try {
    mkdirSync(path, { recursive: true, mode: 0o700 })
    chmodSync(path, 0o700)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    const hint = code === 'EACCES' || code === 'EPERM' ? ': run this as the user that owns it' : ''
    throw new ConfigurationError(`stateDir: cannot use ${path} (${code})${hint}`)
  }
  return paths
}

/**
 * The paths alone: whoever only talks to a daemon must not leave a folder of its own where the daemon would make one. Throws
 * ConfigurationError when the sockets in it would have paths that no socket can have.
 */
export function stateFolderAt(path: string): StateFolder {
  const adminSocket = join(path, 'admin.sock')
  const ceremonySocket = join(path, 'ceremony.sock')
  const longestBytes = Math.max(Buffer.byteLength(adminSocket), Buffer.byteLength(ceremonySocket))
  const excessBytes = longestBytes - SOCKET_PATH_MAX_BYTES
  if (excessBytes > 0)
    throw new ConfigurationError(
      `stateDir: ${path} is ${excessBytes} bytes too long: the path of a socket has ${SOCKET_PATH_MAX_BYTES} at most`,
    )
  return {
    path,
    store: join(path, 'strongroom.db'),
    lock: join(path, 'lock'),
    adminSocket,
    ceremonySocket,
    credentials: join(path, 'credentials'),
    audit: join(path, 'audit'),
    requests: join(path, 'requests'),
  }
}
