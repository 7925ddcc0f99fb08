/**
 * SoftHSM tokens that live as long as a run. Each server has a token directory of its own, so that none waits for the
 * files of another.
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import pkcs11 from 'pkcs11js'
import { type Cryptoki, loadModule, type SessionHandle } from '../../src/hsm/host/cryptoki.ts'

/** Where distributions put the module; `SOFTHSM2_MODULE` names another place. */
const MODULES = [
  process.env.SOFTHSM2_MODULE ?? '',
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
  '/usr/local/lib/softhsm/libsofthsm2.so',
]

const LABEL_BYTES = 32
const CKU_SO = 0
const CKU_USER = 1

/** A directory for one token. Gone when disposed of. */
export class TokenDirectory implements Disposable {
  readonly path = mkdtempSync(join(tmpdir(), 'strongroom-bench-'))

  constructor() {
    mkdirSync(join(this.path, 'tokens'))
    writeFileSync(
      this.#configuration,
      [
        `directories.tokendir = ${join(this.path, 'tokens')}`,
        'objectstore.backend = file',
        'log.level = ERROR',
        'slots.removable = false',
        '',
      ].join('\n'),
    )
  }

  /** What a process that opens this token must have in its environment before it loads the module. */
  get environment(): Readonly<Record<string, string>> {
    return { SOFTHSM2_CONF: this.#configuration, BENCH_TOKEN_DIRECTORY: this.path }
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true, force: true })
  }

  get #configuration(): string {
    return join(this.path, 'token.conf')
  }
}

/** Removes the directory of this child's token, for a child whose parent did not live to do so. */
export function removeOwnToken(): void {
  const path = process.env.BENCH_TOKEN_DIRECTORY
  if (path !== undefined) rmSync(path, { recursive: true, force: true })
}

export interface BenchToken {
  readonly cryptoki: Cryptoki
  readonly session: SessionHandle
  readonly modulePath: string
  readonly label: string
  readonly pin: string
}

/** Loads the module, makes a token in this process's directory, with PINs nobody else knows, and logs in. */
export function createToken(label: string): BenchToken {
  const modulePath = MODULES.find(path => existsSync(path))
  if (modulePath === undefined) throw new Error('SoftHSM is not installed: set SOFTHSM2_MODULE to libsofthsm2.so')
  const cryptoki = loadModule(new pkcs11.PKCS11(), modulePath)
  const slot = cryptoki.C_GetSlotList(true)[0]!
  const officerPin = randomBytes(16).toString('hex')
  const pin = randomBytes(16).toString('hex')
  // pkcs11js does not pad: a shorter label would end in whatever is in memory behind it.
  cryptoki.C_InitToken(slot, officerPin, label.padEnd(LABEL_BYTES, ' '))
  const session = cryptoki.C_OpenSession(slot, pkcs11.CKF_SERIAL_SESSION | pkcs11.CKF_RW_SESSION)
  cryptoki.C_Login(session, CKU_SO, officerPin)
  cryptoki.C_InitPIN(session, pin)
  cryptoki.C_Logout(session)
  cryptoki.C_Login(session, CKU_USER, pin)
  return { cryptoki, session, modulePath, label, pin }
}
