/**
 * A lock that the kernel takes from a process that dies. Node has no call for one, but SQLite locks the file of a transaction
 * (fcntl(2), F_SETLK), and gives nothing away when this process opens the file twice by its means. By any other means it must
 * not: POSIX drops the locks of a process with the first descriptor of the file that it closes.
 */
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { isLocked } from './dialects/sqlite-driver.ts'

/** Nothing is written: the file stays empty, and no journal of it is made on a disk that may be full. */
const TAKE = 'PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE'

/** A line of proc_locks(5), as SQLite's are: an exclusive one that begins at SQLite's pending byte. */
const EXCLUSIVE_LOCK = /^\d+: POSIX +ADVISORY +WRITE (\d+) ([0-9a-f]+):([0-9a-f]+):(\d+) 1073741824 /

/**
 * Takes the lock on a file, which is made with mode 0600 when it is absent. Undefined when another process has it, or this one.
 * Disposing of it gives it back. Throws what the file system or SQLite says of a file that cannot be locked.
 */
export function takeFileLock(path: string): Disposable | undefined {
  createFile(path)
  const connection = new DatabaseSync(path, { timeout: 0 })
  try {
    connection.exec(TAKE)
    return { [Symbol.dispose]: () => connection.close() }
  } catch (error) {
    connection.close()
    if (isLocked(error)) return undefined
    throw error
  }
}

/** The process that has the lock on a file, where the kernel shows it: not across containers, nor of every file system. */
export function holderOfFileLock(path: string): number | undefined {
  try {
    const { dev, ino } = statSync(path, { bigint: true })
    for (const line of readFileSync('/proc/locks', 'latin1').split('\n')) {
      const [, pid, major = '', minor = '', inode = ''] = EXCLUSIVE_LOCK.exec(line) ?? []
      if (pid !== undefined && BigInt(inode) === ino && deviceOf(major, minor) === dev) return Number(pid)
    }
  } catch {
    // Without /proc, or with a file that is gone, nobody can tell.
  }
  return undefined
}

/** As glibc's makedev(3) puts the numbers together, which are hexadecimal. */
function deviceOf(majorHex: string, minorHex: string): bigint {
  const [major, minor] = [BigInt(`0x${majorHex}`), BigInt(`0x${minorHex}`)]
  return ((major & 0xfffff000n) << 32n) | ((major & 0xfffn) << 8n) | ((minor & 0xffffff00n) << 12n) | (minor & 0xffn)
}

function createFile(path: string): void {
  try {
    closeSync(openSync(path, 'wx', 0o600))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
  }
}
