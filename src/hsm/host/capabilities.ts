/**
 * What a host works with: of all that its token was proven to do (profile/), the schemes of its region. A token that lacks
 * what the region writes serves none of it.
 */
import type pkcs11 from 'pkcs11js'
import type { Kdf } from '../../formats/derivation.ts'
import type { WrapScheme } from '../../formats/ekt.ts'
import { HsmFault } from '../contract/fault.ts'
import { commonSchemes, describeSchemes, type Schemes, type TokenProfile } from '../contract/token-profile.ts'
import type { GcmIvMaker } from './ciphers/token-gcm.ts'
import type { CounterKdf } from './mechanisms.ts'
import type { Examination } from './profile/examine.ts'

export interface Capabilities {
  readonly profile: TokenProfile
  /** Undefined where HBKs reside in the region's tokens. */
  readonly wrap: { readonly scheme: WrapScheme; readonly mechanism: pkcs11.Mechanism } | undefined
  /** RFC 5649, whatever the region wraps by: callers wrap private keys by it (PKCS#11's CKM_RSA_AES_KEY_WRAP). */
  readonly keyWrapPad: pkcs11.Mechanism | undefined
  /** What new keys are made for. */
  readonly kdf: Kdf
  /** `hmac`: SP 800-108 by C_Sign, for AES-GCM in this host. */
  readonly kdfs: { readonly cbcData: boolean; readonly counter: CounterKdf | undefined; readonly hmac: boolean }
  readonly gcmIv: GcmIvMaker
}

/**
 * What the token does by a region's schemes or, where there are none yet, by its own best. Throws HsmFault `token` that names what
 * is missing.
 */
export function chooseCapabilities(examination: Examination, wanted?: Schemes): Capabilities {
  const { profile, wraps, encryption } = examination
  const schemes = wanted ?? commonSchemes([profile])
  if (!profile.hmac) throw new HsmFault('token', `token "${profile.label}" cannot serve: it computes no HMAC-SHA-256`)
  if (schemes === undefined) {
    throw new HsmFault('token', `token "${profile.label}" cannot serve: it offers ${describeSchemes(profile)}`)
  }
  requireSchemes(profile, schemes)
  const mechanism = schemes.wrapScheme === 'resident' ? undefined : wraps.get(schemes.wrapScheme)
  const { cbcData, counter, gcmIv } = encryption
  return {
    profile,
    wrap: mechanism && { scheme: schemes.wrapScheme, mechanism },
    keyWrapPad: wraps.get('RFC5649'),
    kdf: schemes.kdf,
    kdfs: { cbcData, counter, hmac: profile.gcm === 'host' },
    gcmIv: gcmIv ?? 'caller',
  }
}

function requireSchemes(profile: TokenProfile, { wrapScheme, kdf }: Schemes): void {
  const missing = [
    ...(profile.wrapSchemes.includes(wrapScheme) ? [] : [wrapScheme]),
    ...(profile.kdfs.includes(kdf) ? [] : [kdf]),
  ]
  if (missing.length === 0) return
  throw new HsmFault(
    'token',
    `token "${profile.label}" lacks ${missing.join(' and ')}, which its region uses; it offers ${describeSchemes(profile)}`,
  )
}
