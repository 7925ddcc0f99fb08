/** Puts a module that misbehaves when it is told to before that of a token: see faulty-module.c. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parsePkcs11Uri } from '../../src/base/pkcs11-uri.ts'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'

const SOURCE = fileURLToPath(new URL('faulty-module.c', import.meta.url))
const HEADERS = fileURLToPath(new URL('../../node_modules/pkcs11js/includes/pkcs11', import.meta.url))

/** Which calls are disturbed; add them up. */
export const CALLS = { sessions: 1, crypto: 2, keys: 4, random: 8, information: 16 } as const
export const ALL_CALLS = 31
const MODES = { pass: 0, wait: 1, fail: 2, hang: 3 } as const
const CONTROL_WORDS = 5

export interface FaultyModule {
  /** The same token, through the module that misbehaves. */
  readonly location: TokenLocation
  /** `argument` is milliseconds to wait, or the CKR code to fail with. */
  set(mode: keyof typeof MODES, argument?: number, calls?: number): void
  /** How often C_Login was called, by any process. */
  logins(): number
  /** Objects made through it less those destroyed. */
  objects(): number
}

/** Compiles the module into a folder. Throws when there is no compiler. */
export function buildFaultyModule(folder: string): string {
  const path = join(folder, 'faulty.so')
  execFileSync('gcc', ['-O1', '-fPIC', '-shared', `-I${HEADERS}`, SOURCE, '-o', path, '-ldl'])
  return path
}

/** `name` tells several of them in one folder apart. */
export function makeFaulty(folder: string, name: string, modulePath: string, location: TokenLocation): FaultyModule {
  const control = join(folder, `${name}.control`)
  writeFileSync(control, Buffer.alloc(CONTROL_WORDS * 4))
  const target = parsePkcs11Uri(location.uri).modulePath
  return {
    location: {
      uri: location.uri.replace(/module-path=[^&]*/, `module-path=${encodeURI(modulePath)}`),
      environment: { ...location.environment, FAULTY_TARGET: target, FAULTY_CONTROL: control },
    },
    set(mode, argument = 0, calls = ALL_CALLS) {
      const words = Uint32Array.of(MODES[mode], argument, calls)
      const file = openSync(control, 'r+')
      writeSync(file, words, 0, words.byteLength, 0)
      closeSync(file)
    },
    logins: () => readFileSync(control).readUInt32LE(12),
    objects: () => readFileSync(control).readUInt32LE(16),
  }
}
