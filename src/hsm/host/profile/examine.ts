/**
 * Works out what a token can do: its mechanism list, then every self-test, on throw-away objects. The result does not
 * change while the process lives.
 */
import { ANY } from '../../../base/token-schemes.ts'
import { KEY_MECHANISMS } from '../../contract/key-mechanisms.ts'
import type { ProfilePins, SelfTest, TokenProfile } from '../../contract/token-profile.ts'
import type { SessionHandle } from '../cryptoki.ts'
import type { Token } from '../token.ts'
import { tryBarrierAttributes } from './barrier-attributes.ts'
import { Bench } from './bench.ts'
import { type KeyWraps, proveKeyWraps } from './key-wrap.ts'
import { type MessageEncryption, proveHmac, proveMessageEncryption } from './message-encryption.ts'
import { tryPrivateKeys } from './private-keys.ts'
import { type Quirks, quirksOf } from './quirks.ts'
import { trySessions } from './sessions.ts'

const NO_PINS: ProfilePins = { wrapScheme: ANY, kdf: ANY, gcmIv: ANY }

export interface Examination {
  readonly profile: TokenProfile
  readonly tests: readonly SelfTest[]
  readonly wraps: KeyWraps
  readonly encryption: MessageEncryption
  readonly quirks: Quirks
}

/** Throws HsmFault where the token or its module fails altogether; what a token lacks is in the result. */
export function examineToken(token: Token, session: SessionHandle, pins: ProfilePins = NO_PINS): Examination {
  const { label, serial, manufacturer, model, cryptoki } = token
  const info = cryptoki.C_GetInfo()
  const quirks = quirksOf({ manufacturer, model, library: `${info.manufacturerID} ${info.libraryDescription}` })
  using bench = new Bench(token, session, quirks)
  const sessions = trySessions(bench)
  const wraps = narrow(proveKeyWraps(bench), pins)
  const encryption = proveMessageEncryption(bench, quirks, pins.gcmIv)
  const hmac = proveHmac(bench)
  const kdfs = kdfsOf(encryption, hmac).filter(kdf => pins.kdf === ANY || pins.kdf === kdf)
  const inToken = encryption.counter !== undefined || encryption.cbcData
  const { maxRwSessionCount, maxSessionCount } = cryptoki.C_GetTokenInfo(token.slot)
  const profile: TokenProfile = {
    ...{ label, serial, manufacturer, model, vendor: quirks.vendor },
    wrapSchemes: wraps.size > 0 ? [...wraps.keys()] : hmac ? ['resident'] : [],
    kdfs,
    gcm: inToken ? 'token' : hmac ? 'host' : 'none',
    gcmIv: encryption.gcmIv ?? 'caller',
    gcmMaxBytes: encryption.gcmMaxBytes,
    hmac,
    ...tryPrivateKeys(bench, wraps, quirks),
    keyMechanisms: KEY_MECHANISMS.filter(name => bench.lists(name)),
    ...tryBarrierAttributes(bench, wraps),
    ...sessions,
    maxSessions: quirks.maxSessions ?? limitOf(maxRwSessionCount, maxSessionCount),
    maxLoadedKeys: quirks.maxLoadedKeys ?? 0,
  }
  return { profile: Object.freeze(profile), tests: bench.tests, wraps, encryption, quirks }
}

/** In the token where it can; by its HMAC and in the host only where nothing is derived in the token (design.md 2). */
function kdfsOf({ counter, cbcData }: MessageEncryption, hmac: boolean): TokenProfile['kdfs'] {
  if (counter === undefined && !cbcData) return hmac ? ['SP800-108-HMAC-SHA256'] : []
  return [
    ...(counter === undefined ? [] : (['SP800-108-HMAC-SHA256'] as const)),
    ...(cbcData ? (['AES-CBC-DATA'] as const) : []),
  ]
}

function narrow(wraps: KeyWraps, { wrapScheme }: ProfilePins): KeyWraps {
  return wrapScheme === ANY ? wraps : new Map([...wraps].filter(([scheme]) => scheme === wrapScheme))
}

/** 0 is CK_EFFECTIVELY_INFINITE, and all ones are CK_UNAVAILABLE_INFORMATION: both name no limit. */
function limitOf(...counts: readonly number[]): number {
  const named = counts.filter(count => Number.isSafeInteger(count) && count > 0 && count < 0xffff_ffff)
  return named.length === 0 ? 0 : Math.min(...named)
}
