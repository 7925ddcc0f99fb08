/** What the kernel is asked to do for a process that holds a PIN and a logged-in token. */
import koffi from 'koffi'

const PR_SET_PDEATHSIG = 1
const PR_SET_DUMPABLE = 4
const SIGKILL = 9

/**
 * No core dump and no debugger of the same user (prctl(2), PR_SET_DUMPABLE), and no life after the daemon: a host that
 * hangs in a vendor's library would not see its channel close.
 */
export function hardenProcess(): void {
  if (process.platform !== 'linux') return
  const prctl = koffi.load(null).func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)')
  prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
  prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0)
}
