/**
 * One owner for one state folder: the daemon's first process, or a command that may not run beside a daemon. Two of them would
 * each go on with the audit log where the other one does, or put aside a key store that the other one writes to.
 */
import { rmSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { isListening } from './base/unix-socket.ts'
import { NotReady } from './compose-pools.ts'
import type { StateFolder } from './config/state-folder.ts'
import { holderOfFileLock, takeFileLock } from './store/file-lock.ts'

/** Longer than a daemon takes to end: its listeners drain for 10 seconds at most, and then its hosts end. */
const WAIT_MS = 30_000
const AGAIN_MS = 50

/** What is said of a wait, once. */
export interface FolderWait {
  readonly path: string
  /** Undefined when it cannot be known. */
  readonly holder: number | undefined
  readonly upToMs: number
}

/**
 * Holds the folder until it is disposed of, or this process ends. While another process holds it that does not serve, as one that
 * ends, this waits. Throws {@link NotReady} that names the folder: at once when a daemon answers, otherwise when the wait is over.
 */
export async function holdStateFolder(
  { path, lock, adminSocket }: StateFolder,
  onWait: (wait: FolderWait) => void,
  waitMs = WAIT_MS,
): Promise<Disposable> {
  const untilMs = performance.now() + waitMs
  for (let waiting = false; ; waiting = true) {
    const held = take(lock)
    const holder = held === undefined ? holderOfFileLock(lock) : undefined
    const who = holder === undefined ? '' : ` by process ${holder}`
    if (await isListening(adminSocket)) {
      held?.[Symbol.dispose]()
      throw new NotReady(`a daemon is running with this state folder (it answers on ${adminSocket}): stop it first`)
    }
    if (held !== undefined) {
      // Of a daemon that was killed: whoever could listen there would hold the folder.
      rmSync(adminSocket, { force: true })
      return held
    }
    if (performance.now() > untilMs)
      throw new NotReady(
        `the state folder ${path} is in use${who}: a daemon that starts or ends, or a command that may not run beside one`,
      )
    if (!waiting) onWait({ path, holder, upToMs: waitMs })
    await sleep(AGAIN_MS)
  }
}

function take(lock: string): Disposable | undefined {
  try {
    return takeFileLock(lock)
  } catch (error) {
    throw new NotReady(`${lock} cannot be locked: ${(error as Error).message}`)
  }
}
