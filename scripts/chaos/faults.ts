/** THE table of faults: what each does to a token, and what it stands for. docs/faults.md has the same table. */
import { commands } from '../../src/hsm/contract/commands.ts'
import { ALL_CALLS, CALLS, callsOf } from './faulty-module.ts'
import type { Victim } from './victim.ts'

export interface Fault {
  readonly name: string
  /** What is done, in the words of PKCS#11 and the kernel. */
  readonly does: string
  /** What happens in the field that looks like this. */
  readonly imitates: string
  /** How long it must last for what is claimed to be seen. */
  readonly leastMs: number
  /** The token refuses its PIN while this lasts: it must not be tried again. */
  readonly refusesPin?: true
  begin(victim: Victim): void | Promise<void>
  /** The token's return. */
  end(victim: Victim): void | Promise<void>
}

/** After this long without an answer a host is cut off. */
export const DEADLINE_MS = Math.max(
  ...(['generateDataKey', 'decrypt', 'reEncrypt'] as const).map(name => commands[name].deadlineMs),
)
const SHORT_MS = 1_000
/** Long enough for a token that does not answer to be cut off. */
const MUTE_MS = DEADLINE_MS + 1_000

const SLOW_MS = 20
const OVERDUE_MS = 1_000
const DEVOUR_MIB = 512
const LEAK_KIB = 1_024
const LEAKS = 400

const CKR_GENERAL_ERROR = 0x05
const CKR_FUNCTION_FAILED = 0x06
const CKR_DEVICE_ERROR = 0x30
const CKR_DEVICE_REMOVED = 0x32
const CKR_PIN_INCORRECT = 0xa0
const CKR_SESSION_COUNT = 0xb1
const CKR_VENDOR_DEFINED = 0x8000_0042

const pass = ({ module }: Victim) => module.set('pass')
const nothing = () => {}

export const FAULTS: readonly Fault[] = [
  {
    name: 'slow',
    does: `one call of a command takes ${SLOW_MS} ms longer`,
    imitates: 'a token behind a network, or one that others keep busy',
    leastMs: SHORT_MS,
    begin: ({ module }) => module.set('wait', SLOW_MS, callsOf('C_DeriveKey')),
    end: pass,
  },
  {
    name: 'overdue',
    does: `every call takes ${OVERDUE_MS} ms longer, so that no command keeps its deadline`,
    imitates: 'a token that is overloaded, or a line that loses packets',
    leastMs: MUTE_MS,
    begin: ({ module }) => module.set('wait', OVERDUE_MS),
    end: pass,
  },
  {
    name: 'device-error',
    does: 'every call answers CKR_DEVICE_ERROR',
    imitates: 'an HSM that has stopped itself, a network HSM out of reach',
    leastMs: SHORT_MS,
    begin: ({ module }) => module.set('fail', CKR_DEVICE_ERROR),
    end: pass,
  },
  {
    name: 'device-removed',
    does: 'every call answers CKR_DEVICE_REMOVED',
    imitates: 'a USB token that is pulled',
    leastMs: SHORT_MS,
    begin: ({ module }) => module.set('fail', CKR_DEVICE_REMOVED),
    end: pass,
  },
  {
    name: 'general-error',
    does: 'every call answers CKR_GENERAL_ERROR',
    imitates: 'a library that does not say what is wrong',
    leastMs: SHORT_MS,
    begin: ({ module }) => module.set('fail', CKR_GENERAL_ERROR),
    end: pass,
  },
  {
    name: 'vendor-error',
    does: 'every call answers a code of the vendor (0x80000042)',
    imitates: 'a code that no table knows',
    leastMs: SHORT_MS,
    begin: ({ module }) => module.set('fail', CKR_VENDOR_DEFINED),
    end: pass,
  },
  {
    name: 'flaky',
    does: 'every 7th call answers CKR_DEVICE_ERROR',
    imitates: 'a bad cable, a failing node behind a load balancer',
    leastMs: SHORT_MS,
    begin: ({ module }) => module.set('fail', CKR_DEVICE_ERROR, ALL_CALLS, { every: 7 }),
    end: pass,
  },
  {
    name: 'burst',
    does: 'the next 20 calls answer CKR_FUNCTION_FAILED',
    imitates: 'a short disturbance: a firmware update, an appliance that fails over',
    leastMs: SHORT_MS,
    begin: ({ module }) => module.set('fail', CKR_FUNCTION_FAILED, ALL_CALLS, { times: 20 }),
    end: pass,
  },
  {
    name: 'sessions-closed',
    does: 'before every 100th call all sessions are closed',
    imitates: 'an appliance that restarts, or closes what was idle for long',
    leastMs: SHORT_MS,
    begin: ({ module }) => module.set('close-sessions', 0, ALL_CALLS - CALLS.library, { every: 100 }),
    end: pass,
  },
  {
    name: 'logged-out',
    does: 'before every 100th call the user is logged out, and every key of the session is gone',
    imitates: 'an appliance that restarts, a log-in that expires',
    leastMs: SHORT_MS,
    begin: ({ module }) => module.set('log-out', 0, ALL_CALLS - CALLS.library, { every: 100 }),
    end: pass,
  },
  {
    name: 'session-count',
    does: 'hosts are killed, and C_OpenSession answers CKR_SESSION_COUNT',
    imitates: 'other clients that hold all the sessions a token has',
    leastMs: SHORT_MS,
    begin(victim) {
      victim.module.set('fail', CKR_SESSION_COUNT, callsOf('C_OpenSession'))
      victim.signal('SIGKILL')
    },
    end: pass,
  },
  {
    name: 'mute',
    does: 'no call returns, until it ends',
    imitates: 'an HSM that hangs, a line that is cut without a word',
    leastMs: MUTE_MS,
    begin: ({ module }) => module.set('hang'),
    end: pass,
  },
  {
    name: 'stuck-call',
    does: 'one call never returns; the others work',
    imitates: 'a dead-lock in a vendor library',
    leastMs: MUTE_MS,
    begin: ({ module }) => module.set('hang-for-ever', 0, callsOf('C_Encrypt', 'C_Decrypt'), { times: 1 }),
    end: pass,
  },
  {
    name: 'abort',
    does: 'the library calls abort() in one call',
    imitates: 'an assertion in a vendor library',
    leastMs: 0,
    begin: ({ module }) => module.set('abort', 0, callsOf('C_Encrypt', 'C_Decrypt'), { times: 1 }),
    end: nothing,
  },
  {
    name: 'segfault',
    does: 'the library writes to address 0 in one call',
    imitates: 'a bug in a vendor library',
    leastMs: 0,
    begin: ({ module }) => module.set('segfault', 0, callsOf('C_Encrypt', 'C_Decrypt'), { times: 1 }),
    end: nothing,
  },
  {
    name: 'crash-loop',
    does: 'every C_Encrypt and C_Decrypt aborts',
    imitates: 'a library that does not stand a firmware, or a key, that it was given',
    leastMs: SHORT_MS,
    begin: ({ module }) => module.set('abort', 0, callsOf('C_Encrypt', 'C_Decrypt')),
    end: pass,
  },
  {
    name: 'out-of-memory',
    does: `one call takes memory until the process is killed, at ${DEVOUR_MIB} MiB`,
    imitates: "a library that runs away, and the kernel's or a container's limit",
    leastMs: 0,
    begin: ({ module }) => module.set('devour', DEVOUR_MIB, callsOf('C_Encrypt', 'C_Decrypt'), { times: 1 }),
    end: nothing,
  },
  {
    name: 'leak',
    does: `each of ${LEAKS} calls keeps ${LEAK_KIB} KiB for good`,
    imitates: 'a library that leaks, as SoftHSM does 250 bytes at a time',
    leastMs: SHORT_MS,
    begin: ({ module }) => module.set('leak', LEAK_KIB, callsOf('C_DeriveKey'), { times: LEAKS }),
    end: pass,
  },
  {
    name: 'initialize-hangs',
    does: 'hosts are killed, and C_Initialize does not return, until it ends',
    imitates: 'a client that waits for an appliance which is not there',
    leastMs: SHORT_MS,
    begin(victim) {
      victim.module.set('hang', 0, CALLS.library)
      victim.signal('SIGKILL')
    },
    end: pass,
  },
  {
    name: 'login-hangs',
    does: 'hosts are killed, and C_Login does not return, until it ends',
    imitates: 'a token that waits for a PED, or for a person',
    leastMs: SHORT_MS,
    begin(victim) {
      victim.module.set('hang', 0, callsOf('C_Login'))
      victim.signal('SIGKILL')
    },
    end: pass,
  },
  {
    name: 'host-stopped',
    does: 'hosts get SIGSTOP, and SIGCONT at the end if they are still there',
    imitates: 'a machine that swaps, a debugger, a frozen container',
    leastMs: MUTE_MS,
    begin: victim => victim.signal('SIGSTOP'),
    end: victim => victim.signal('SIGCONT'),
  },
  {
    name: 'host-killed',
    does: 'hosts get SIGKILL',
    imitates: "the kernel's out-of-memory killer",
    leastMs: 0,
    begin: victim => victim.signal('SIGKILL'),
    end: nothing,
  },
  {
    name: 'host-segfault',
    does: 'hosts get SIGSEGV',
    imitates: 'a crash between two calls',
    leastMs: 0,
    begin: victim => victim.signal('SIGSEGV'),
    end: nothing,
  },
  {
    name: 'token-vanished',
    does: "the token's files are taken away, and put back at the end",
    imitates: 'a token that is unplugged, a volume that is not mounted',
    leastMs: SHORT_MS,
    begin: victim => victim.vanish(),
    end: victim => victim.comeBack(),
  },
  {
    name: 'token-reinitialised',
    does: 'another process initialises the token anew; at the end it is restored from a copy',
    imitates: 'a mistake with the SO PIN, and the backup that helps',
    leastMs: SHORT_MS,
    begin: victim => victim.reinitialise(),
    end: victim => victim.comeBack(),
  },
  {
    name: 'pin-refused',
    does: 'hosts are killed, and C_Login answers CKR_PIN_INCORRECT; at the end an operator unlocks the token',
    imitates: 'a PIN file with a mistake in it: a second try, and a third, may lock the token for good',
    leastMs: SHORT_MS,
    refusesPin: true,
    begin(victim) {
      victim.module.set('fail', CKR_PIN_INCORRECT, callsOf('C_Login'))
      victim.signal('SIGKILL')
    },
    async end(victim) {
      victim.module.set('pass')
      await victim.unlock()
    },
  },
  {
    name: 'pin-changed',
    does: 'another process changes the PIN, and hosts are killed; at the end an operator writes the PIN file and unlocks the token',
    imitates: 'a PIN that was changed in one place and not in the other',
    leastMs: SHORT_MS,
    refusesPin: true,
    async begin(victim) {
      await victim.changePin()
      victim.signal('SIGKILL')
    },
    async end(victim) {
      victim.writePin()
      await victim.unlock()
    },
  },
]

/** All tokens at once: what {@link FAULTS} leaves out. */
export const ALL_DOWN = 'all-down'
export const allDown = {
  begin: ({ module }: Victim) => module.set('fail', CKR_DEVICE_REMOVED),
  end: pass,
} as const

/** In a line, for those who look at a list. */
export function whatItDoes(name: string): string {
  return FAULTS.find(fault => fault.name === name)?.does ?? 'all tokens answer CKR_DEVICE_REMOVED; then one returns'
}
