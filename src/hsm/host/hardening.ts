/** What the kernel is asked to do for a process that holds a PIN and a logged-in token. */
import koffi from 'koffi'

const PR_SET_PDEATHSIG = 1
const PR_SET_DUMPABLE = 4
const SIGKILL = 9

/** No core dump and no debugger of the same user (prctl(2), PR_SET_DUMPABLE). */
export function forbidDebugging(): void {
  processControl(PR_SET_DUMPABLE, 0)
}

/**
 * No life after the daemon: a host that hangs in a vendor's library would not see its channel close. Not before the login
 * is over, and never in a ceremony: SoftHSM rewrites a token's file in place, and SIGKILL in the middle loses the token.
 */
export function endWithParent(): void {
  processControl(PR_SET_PDEATHSIG, SIGKILL)
}

function processControl(option: number, argument: number): void {
  if (process.platform !== 'linux') return
  const prctl = koffi.load(null).func('int prctl(int, unsigned long, unsigned long, unsigned long, unsigned long)')
  prctl(option, argument, 0, 0, 0)
}
