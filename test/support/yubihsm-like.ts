/**
 * A SoftHSM token that offers what a YubiHSM 2 does: it computes HMACs, signs and decrypts, and neither derives keys nor
 * runs AES-GCM nor wraps. SoftHSM keeps to the list in each use of a key; generating keys it does not list.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'

const MECHANISMS = [
  ...['SHA_1', 'SHA256', 'SHA384', 'SHA512'].flatMap(name => [name, `${name}_HMAC`]),
  ...['RSA_PKCS_KEY_PAIR_GEN', 'RSA_PKCS', 'SHA256_RSA_PKCS', 'SHA384_RSA_PKCS', 'SHA512_RSA_PKCS'],
  ...['RSA_PKCS_PSS', 'RSA_PKCS_OAEP'],
  ...['EC_KEY_PAIR_GEN', 'ECDSA', 'ECDH1_DERIVE', 'EDDSA'],
  ...['GENERIC_SECRET_KEY_GEN', 'AES_KEY_GEN', 'AES_ECB', 'AES_CBC', 'AES_CBC_PAD'],
]

/** The same token through a library that offers less. `without` takes mechanisms away that a YubiHSM 2 has. */
export function likeYubiHsm(location: TokenLocation, without: readonly string[] = []): TokenLocation {
  const path = location.environment.SOFTHSM2_CONF ?? ''
  const offered = MECHANISMS.filter(name => !without.includes(name)).map(name => `CKM_${name}`)
  const limited = `${path}.yubihsm-like${without.length > 0 ? `-without-${without.join('-')}` : ''}`
  writeFileSync(limited, `${readFileSync(path, 'utf8')}slots.mechanisms = ${offered.join(',')}\n`)
  return { ...location, environment: { ...location.environment, SOFTHSM2_CONF: limited } }
}
