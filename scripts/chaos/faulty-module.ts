/**
 * The rig: puts a module that misbehaves when it is told to before that of a token (faulty-module.c), and tells it to. The
 * two sides share a small file: what is set here holds from the next call on, in every process that has the module loaded.
 */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parsePkcs11Uri } from '../../src/base/pkcs11-uri.ts'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'

const SOURCE = fileURLToPath(new URL('faulty-module.c', import.meta.url))
const HEADERS = fileURLToPath(new URL('../../node_modules/pkcs11js/includes/pkcs11', import.meta.url))
const COMPILER = ['-O1', '-fPIC', '-shared', '-pthread', '-Wall', '-Wextra', '-Werror', `-I${HEADERS}`]

/** The calls that can be disturbed: CALLS of faulty-module.c, in its order. */
export const CALL_NAMES = [
  ...['C_Initialize', 'C_GetSlotList', 'C_GetTokenInfo', 'C_GetMechanismList', 'C_GetMechanismInfo'],
  ...['C_OpenSession', 'C_CloseSession', 'C_GetSessionInfo', 'C_Login', 'C_Logout'],
  ...['C_CreateObject', 'C_CopyObject', 'C_DestroyObject', 'C_GetAttributeValue', 'C_SetAttributeValue'],
  ...['C_FindObjectsInit', 'C_FindObjects', 'C_FindObjectsFinal'],
  ...['C_EncryptInit', 'C_Encrypt', 'C_DecryptInit', 'C_Decrypt', 'C_SignInit', 'C_Sign', 'C_VerifyInit', 'C_Verify'],
  ...['C_GenerateKey', 'C_GenerateKeyPair', 'C_WrapKey', 'C_UnwrapKey', 'C_DeriveKey', 'C_GenerateRandom'],
] as const
export type CallName = (typeof CALL_NAMES)[number]

/** These calls together, as {@link FaultyModule.set} takes them. */
export function callsOf(...names: readonly CallName[]): number {
  return names.reduce((sum, name) => sum + 2 ** CALL_NAMES.indexOf(name), 0)
}

/** Groups of calls; none is in two, so that they can be added up. */
export const CALLS = {
  library: callsOf('C_Initialize'),
  information: callsOf('C_GetSlotList', 'C_GetTokenInfo', 'C_GetMechanismList', 'C_GetMechanismInfo'),
  sessions: callsOf('C_OpenSession', 'C_CloseSession', 'C_GetSessionInfo', 'C_Login', 'C_Logout'),
  objects: callsOf('C_CopyObject', 'C_GetAttributeValue', 'C_SetAttributeValue', 'C_FindObjectsInit', 'C_FindObjects'),
  crypto: callsOf('C_EncryptInit', 'C_Encrypt', 'C_DecryptInit', 'C_Decrypt', 'C_SignInit', 'C_Sign', 'C_VerifyInit'),
  keys:
    callsOf('C_GenerateKey', 'C_GenerateKeyPair', 'C_WrapKey', 'C_UnwrapKey', 'C_DeriveKey') +
    callsOf('C_CreateObject', 'C_DestroyObject'),
  random: callsOf('C_GenerateRandom'),
} as const
export const ALL_CALLS = callsOf(...CALL_NAMES)

/** What becomes of a call: the modes of faulty-module.c, in its order. */
const MODES = [
  'pass',
  /** Waits for `argument` ms first. */
  'wait',
  /** Answers with the CKR code `argument`. */
  'fail',
  /** Does not return until the mode changes. */
  'hang',
  'hang-for-ever',
  'abort',
  'segfault',
  /** Takes memory until the process is killed, which happens at `argument` MiB. */
  'devour',
  /** Takes `argument` KiB for good, and goes on. */
  'leak',
  /** Closes all sessions of the process first. */
  'close-sessions',
  /** Logs out first. */
  'log-out',
] as const
export type Mode = (typeof MODES)[number]

const NO_LIMIT = 0xffff_ffff
const PIDS_MAX = 64
/** Words of the control file, see `struct control`. */
const WORD = { mode: 0, disturbed: 6, logins: 7, objects: 8, loaded: 9, pids: 10 } as const
const CONTROL_WORDS = WORD.pids + PIDS_MAX
const WORD_BYTES = Uint32Array.BYTES_PER_ELEMENT

/** Which of the calls that are meant are disturbed: all of them, unless this says otherwise. */
export interface Choice {
  /** Every n-th. */
  readonly every?: number
  /** So many, and no more. */
  readonly times?: number
}

export interface FaultyModule {
  /** The same token, through the module that misbehaves. */
  readonly location: TokenLocation
  /** What the module does from the next call on. `calls` are of {@link CALLS} or {@link callsOf}. */
  set(mode: Mode, argument?: number, calls?: number, choice?: Choice): void
  /** How many calls were disturbed. */
  disturbed(): number
  /** How often C_Login was called, by any process. */
  logins(): number
  /** Objects made through it less those destroyed. */
  objects(): number
  /** Processes that have loaded it, the newest last; some may have ended. */
  pids(): number[]
}

/** Compiles the module into a folder and returns its path. Throws when there is no compiler, or when it complains. */
export function buildFaultyModule(folder: string): string {
  const path = join(folder, 'faulty.so')
  try {
    execFileSync('gcc', [...COMPILER, SOURCE, '-o', path, '-ldl'], { stdio: ['ignore', 'ignore', 'pipe'] })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error('there is no C compiler: apt-get install -y --no-install-recommends gcc libc6-dev', {
      cause: error,
    })
  }
  return path
}

/** Puts the module before that of a token. `name` tells several of them in one folder apart. */
export function makeFaulty(folder: string, name: string, modulePath: string, location: TokenLocation): FaultyModule {
  const control = join(folder, `${name}.control`)
  writeFileSync(control, new Uint32Array(CONTROL_WORDS), { mode: 0o600 })
  const target = parsePkcs11Uri(location.uri).modulePath
  const read = () => new Uint32Array(Uint8Array.from(readFileSync(control)).buffer)
  const write = (...words: readonly number[]) => {
    const file = openSync(control, 'r+')
    writeSync(file, Uint32Array.from(words), 0, words.length * WORD_BYTES, WORD.mode)
    closeSync(file)
  }
  return {
    location: {
      ...location,
      uri: location.uri.replace(/module-path=[^&]*/, `module-path=${encodeURI(modulePath)}`),
      environment: { ...location.environment, FAULTY_TARGET: target, FAULTY_CONTROL: control },
    },
    set(mode, argument = 0, calls = ALL_CALLS, { every = 1, times = NO_LIMIT } = {}) {
      // The file is read while it is written: the mode comes last.
      write(MODES.indexOf('pass'), argument, calls, every, times, 0)
      write(MODES.indexOf(mode))
    },
    disturbed: () => read()[WORD.disturbed]!,
    logins: () => read()[WORD.logins]!,
    objects: () => Int32Array.from(read())[WORD.objects]!,
    pids() {
      const words = read()
      const loaded = words[WORD.loaded]!
      const kept = Math.min(loaded, PIDS_MAX)
      return Array.from({ length: kept }, (_, at) => words[WORD.pids + ((loaded - kept + at) % PIDS_MAX)]!)
    },
  }
}
