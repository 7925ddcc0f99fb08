/** Puts a module that behaves as a vendor's before that of a token: see vendor-module.c. */
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parsePkcs11Uri } from '../../src/base/pkcs11-uri.ts'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'

const SOURCE = fileURLToPath(new URL('vendor-module.c', import.meta.url))
const HEADERS = fileURLToPath(new URL('../../node_modules/pkcs11js/includes/pkcs11', import.meta.url))

/** Compiles the module into a folder. Throws when there is no compiler. */
export function buildVendorModule(folder: string): string {
  const path = join(folder, 'vendor.so')
  execFileSync('gcc', ['-O1', '-fPIC', '-shared', `-I${HEADERS}`, SOURCE, '-o', path, '-ldl'])
  return path
}

/** The same token, through the module of `modulePath`, which takes after `kind`. */
export function likeVendor(kind: 'cloudhsm' | 'luna', modulePath: string, location: TokenLocation): TokenLocation {
  const target = parsePkcs11Uri(location.uri).modulePath
  return {
    ...location,
    uri: location.uri.replace(/module-path=[^&]*/, `module-path=${encodeURI(modulePath)}`),
    environment: { ...location.environment, VENDOR_TARGET: target, VENDOR_KIND: kind },
  }
}
