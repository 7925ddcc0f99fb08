/**
 * SoftHSM tokens for development, tests and trying out: a folder with the library's configuration, the tokens, and their
 * PINs in files of mode 0600. A production token is set up with its vendor's tools; nobody should keep an SO PIN in a file.
 *
 * ```
 * <folder>/token.conf          what SOFTHSM2_CONF names
 * <folder>/tokens/             the tokens
 * <folder>/pins/<label>.pin    user PIN      <folder>/pins/so-pin    SO PIN of all of them
 * ```
 */
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { TokenLocation } from '../src/hsm/contract/host-configuration.ts'
import { Ceremony } from '../src/hsm/pool/ceremony.ts'

const PIN_BYTES = 18
const MODULE_PATHS = [
  '/usr/lib/softhsm/libsofthsm2.so',
  '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib/aarch64-linux-gnu/softhsm/libsofthsm2.so',
  '/usr/lib64/pkcs11/libsofthsm2.so',
]

export interface SoftTokens {
  readonly locations: readonly TokenLocation[]
  readonly officerPinFile: string
}

/** Where SoftHSM's module is. Throws Error that says what to install. */
export function findSoftHsm(): string {
  const path = MODULE_PATHS.find(candidate => existsSync(candidate))
  if (path === undefined)
    throw new Error('SoftHSM 2 is not installed: apt-get install -y --no-install-recommends softhsm2')
  return path
}

/** Makes the tokens that are not there yet; the others are left as they are. */
export async function makeSoftTokens(folder: string, labels: readonly string[]): Promise<SoftTokens> {
  const modulePath = findSoftHsm()
  const pins = join(folder, 'pins')
  const tokens = join(folder, 'tokens')
  for (const path of [folder, pins, tokens]) mkdirSync(path, { recursive: true, mode: 0o700 })
  const configurationPath = join(folder, 'token.conf')
  const template = readFileSync(new URL('softhsm2.conf.template', import.meta.url), 'utf8')
  writeFileSync(configurationPath, template.replace('@TOKENS@', tokens), { mode: 0o600 })
  const officerPinFile = writePin(join(pins, 'so-pin'))
  const locations = labels.map(label => {
    const pinFile = writePin(join(pins, `${label}.pin`))
    const uri = `pkcs11:token=${encodeURIComponent(label)}?module-path=${encodeURI(modulePath)}&pin-source=file:${encodeURI(pinFile)}`
    return { uri, environment: { SOFTHSM2_CONF: configurationPath } }
  })
  await using ceremony = new Ceremony()
  for (const location of locations) {
    await ceremony.call('initialiseToken', { location, officerPin: { file: officerPinFile } })
  }
  return { locations, officerPinFile }
}

function writePin(path: string): string {
  if (!existsSync(path)) writeFileSync(path, `${randomBytes(PIN_BYTES).toString('base64url')}\n`, { mode: 0o600 })
  return path
}
