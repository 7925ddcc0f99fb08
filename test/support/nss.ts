/**
 * NSS softoken: an independent implementation of PKCS#11 that runs here, in a folder of its own. certutil makes a database
 * with a PIN; its label is a parameter of the library. It enforces little, so it is a test bed and no token to keep keys in.
 */
import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'

const MODULE_PATHS = ['/usr/lib/x86_64-linux-gnu/libsoftokn3.so', '/usr/lib/aarch64-linux-gnu/libsoftokn3.so']

/** Of the NSS that scripts/install takes out of firefox-esr: it knows PKCS#11 3.2. */
const NEWER_MODULE_PATHS = ['/usr/local/lib/strongroom-tests/nss/module.so']

/** The same of a newer NSS, which has ML-KEM and Ed25519. */
export const makeNewerNssToken = (folder: string, label: string) => makeNssToken(folder, label, NEWER_MODULE_PATHS)

export function makeNssToken(folder: string, label: string, modulePaths = MODULE_PATHS): TokenLocation {
  const modulePath = modulePaths.find(candidate => existsSync(candidate))
  if (modulePath === undefined) throw new Error('NSS is not installed: scripts/install --for-tests')
  const database = join(folder, 'db')
  const pinFile = join(folder, 'pin')
  mkdirSync(database, { recursive: true, mode: 0o700 })
  writeFileSync(pinFile, `${randomBytes(12).toString('hex')}\n`, { mode: 0o600 })
  execFileSync('certutil', ['-N', '-d', `sql:${database}`, '-f', pinFile])
  return {
    uri: `pkcs11:token=${encodeURIComponent(label)}?module-path=${modulePath}&pin-source=file:${encodeURI(pinFile)}`,
    environment: {},
    libraryParameters: `configdir='sql:${database}' certPrefix='' keyPrefix='' secmod='secmod.db' dbTokenDescription='${label}' flags=`,
  }
}
