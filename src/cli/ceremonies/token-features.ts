/**
 * What a token gives a key management service, from its profile: which of Strongroom's features work on it, how, and what
 * is missing and why. And what somebody with its PIN could do, where it does not hold to what seals a domain.
 */
import { needsOf, type SpecNeeds } from '../../hsm/contract/key-mechanisms.ts'
import type { TokenInspection } from '../../hsm/contract/token-inspection.ts'
import {
  commonSchemes,
  OAEP_HASHES,
  type PrivateKeyHome,
  seals,
  type TokenProfile,
} from '../../hsm/contract/token-profile.ts'

export interface Feature {
  readonly feature: string
  readonly available: 'yes' | 'partly' | 'no'
  /** By which means; or what is missing. */
  readonly how: string
}

const HMAC_MECHANISMS: Readonly<Record<string, string>> = {
  HMAC_224: 'CKM_SHA224_HMAC',
  HMAC_256: 'CKM_SHA256_HMAC',
  HMAC_384: 'CKM_SHA384_HMAC',
  HMAC_512: 'CKM_SHA512_HMAC',
}

const ML_KEM_SPECS = ['ML_KEM_512', 'ML_KEM_768', 'ML_KEM_1024'] as const

export function featuresOf(inspection: TokenInspection): Feature[] {
  const { profile } = inspection
  if (profile === null)
    return [{ feature: 'everything', available: 'no', how: `nothing was tried: ${inspection.problem}` }]
  return [
    symmetricKeys(profile),
    hmacKeys(profile, inspection),
    privateKeys('RSA keys', profile.privateKeys.RSA),
    privateKeys('ECC keys (P-256)', profile.privateKeys.EC),
    privateKeys('Ed25519 keys', profile.privateKeys.EC_EDWARDS, needsOf('ECC_NIST_EDWARDS25519'), inspection),
    prehash(inspection),
    oaep(profile),
    importOf(profile),
    pools(profile),
    sealing(profile),
    mlKem(profile, inspection),
    unproven('ML-DSA keys', needsOf('ML_DSA_65'), inspection),
    { feature: 'SM2 keys', available: 'no', how: 'PKCS#11 has no mechanism for SM2 signatures or encryption' },
  ]
}

/** What a PIN holder can do on this token that a sealed domain forbids: one line for each attribute not held to. */
export function breachesOf(profile: TokenProfile): string[] {
  return Object.entries(breaches).flatMap(([attribute, means]) => {
    const verdict = profile[attribute as keyof typeof breaches]
    if (verdict === 'enforced' || verdict === 'untested') return []
    return [`${means.attribute} is ${verdict === 'rejected' ? 'rejected' : 'accepted and not enforced'}: ${means.how}`]
  })
}

const breaches = {
  unwrapTemplate: {
    attribute: 'CKA_UNWRAP_TEMPLATE',
    how: 'C_UnwrapKey of an EKT with CKA_SENSITIVE=false, then C_GetAttributeValue of CKA_VALUE, reads the HBK',
  },
  trusted: {
    attribute: 'CKA_WRAP_WITH_TRUSTED',
    how: 'C_WrapKey of the domain key under a key of their own takes it out of the token, and with it every HBK',
  },
  modifiable: {
    attribute: 'CKA_MODIFIABLE=false',
    how: 'CKA_DECRYPT set on the domain key, or on a copy of it, undoes the key wrap of an EKT by AES-ECB and reads the HBK',
  },
  rights: {
    attribute: 'CKA_EXTRACTABLE=false or a right that was denied',
    how: 'C_WrapKey under a key of their own takes out keys that were never to leave, HBKs in use among them',
  },
} as const

function symmetricKeys(profile: TokenProfile): Feature {
  const feature = 'symmetric keys'
  const schemes = commonSchemes([profile])
  if (schemes === undefined || !profile.hmac) {
    const missing = [
      ...(profile.wrapSchemes.length === 0 ? ['AES key wrap (RFC 5649 or RFC 3394)'] : []),
      ...(profile.kdfs.length === 0 ? ['SP 800-108 or CKM_AES_CBC_ENCRYPT_DATA, with AES-GCM'] : []),
      ...(profile.hmac ? [] : ['HMAC-SHA-256, without which no record is authenticated']),
    ]
    return { feature, available: 'no', how: `missing: ${missing.join('; ')}` }
  }
  const where =
    schemes.wrapScheme === 'resident' ? 'HBKs reside in this token' : `EKTs by ${profile.wrapSchemes.join(', ')}`
  if (profile.gcm === 'host') {
    const how = `${where}; DEK by the token's HMAC (SP 800-108), AES-256-GCM in the HSM host: its DEKs leave the token`
    return { feature, available: 'partly', how }
  }
  const how = `${where}; DEK by ${profile.kdfs.join(', ')}; AES-256-GCM in the token, IV: ${profile.gcmIv}, up to ${profile.gcmMaxBytes} bytes`
  return { feature, available: 'yes', how }
}

function hmacKeys(profile: TokenProfile, { mechanisms }: TokenInspection): Feature {
  const offered = Object.entries(HMAC_MECHANISMS).filter(([, name]) => mechanisms.some(each => each.name === name))
  const specs = offered.map(([spec]) => spec)
  if (!profile.hmac || specs.length === 0) return { feature: 'HMAC keys', available: 'no', how: 'missing: HMAC' }
  const all = specs.length === Object.keys(HMAC_MECHANISMS).length
  return { feature: 'HMAC keys', available: all ? 'yes' : 'partly', how: specs.join(', ') }
}

function privateKeys(
  feature: string,
  home: PrivateKeyHome,
  needs?: SpecNeeds,
  { mechanisms }: Pick<TokenInspection, 'mechanisms'> = { mechanisms: [] },
): Feature {
  if (home === 'ekt') return { feature, available: 'yes', how: 'wrapped as EKTs' }
  if (home === 'none') {
    const missing = needs === undefined ? [] : missingOf(needs, mechanisms)
    const how =
      missing.length > 0 ? `missing: ${missing.join(', ')}` : 'not generated, or what is generated does not work'
    return { feature, available: 'no', how }
  }
  return { feature, available: 'partly', how: 'resident: a key lives in one token, and is gone with it' }
}

function oaep({ oaepHashes, privateKeys: { RSA } }: TokenProfile): Feature {
  const feature = 'RSA-OAEP decryption'
  if (oaepHashes.length === 0)
    return {
      feature,
      available: 'no',
      how: RSA === 'ekt' ? 'no hash works' : 'not tried: no RSA key could be unwrapped',
    }
  return {
    feature,
    available: oaepHashes.includes('SHA-256') ? 'yes' : 'partly',
    how: `in the token: ${oaepHashes.join(', ')}`,
  }
}

function importOf({ oaepUnwraps, wrapSchemes }: TokenProfile): Feature {
  const feature = 'import of key material'
  if (!wrapSchemes.some(scheme => scheme !== 'resident'))
    return { feature, available: 'no', how: 'missing: AES key wrap' }
  const names = (hash: string) => {
    const twoSteps = wrapSchemes.includes('RFC5649') ? ['RSA_AES_KEY_WRAP'] : []
    return ['RSAES_OAEP', ...twoSteps].map(name => `${name}_${hash.replace('-', '_')}`)
  }
  const outside = OAEP_HASHES.filter(hash => !oaepUnwraps.includes(hash)).flatMap(names)
  const inToken = `in the token: ${oaepUnwraps.flatMap(names).join(', ') || 'by none'}`
  if (outside.length === 0) return { feature, available: 'yes', how: inToken }
  return {
    feature,
    available: 'partly',
    how: `${inToken}; through the host, if hsm.importInHost: ${outside.join(', ')}`,
  }
}

function pools(profile: TokenProfile): Feature {
  const feature = 'regions of several tokens'
  if (profile.wrapSchemes.every(scheme => scheme === 'resident'))
    return { feature, available: 'no', how: 'missing: AES key wrap; a key that resides in a token serves there alone' }
  if (profile.oaepHashes.length === 0)
    return { feature, available: 'no', how: 'missing: RSA-OAEP, by which a domain is carried from token to token' }
  return {
    feature,
    available: 'yes',
    how: `with tokens that share ${profile.wrapSchemes.join(' or ')} and ${profile.kdfs.join(' or ')}`,
  }
}

function sealing(profile: TokenProfile): Feature {
  const feature = 'sealed domain'
  if (seals(profile)) return { feature, available: 'yes', how: 'whoever has the PIN can use keys, not read them' }
  return { feature, available: 'no', how: 'the domain is OPEN: whoever has the PIN could read keys' }
}

function mlKem({ privateKeys: homes }: TokenProfile, { mechanisms }: TokenInspection): Feature {
  const feature = 'ML-KEM keys'
  const specs = ML_KEM_SPECS.filter(spec => homes[spec] === 'ekt')
  if (specs.length > 0) {
    const available = specs.length === ML_KEM_SPECS.length ? 'yes' : 'partly'
    return { feature, available, how: `wrapped as EKTs: ${specs.join(', ')}` }
  }
  return privateKeys(feature, 'none', needsOf('ML_KEM_768'), { mechanisms })
}

/** Keys that Strongroom does not make, because no token was there to prove them on. */
function unproven(feature: string, needs: SpecNeeds | undefined, { mechanisms }: TokenInspection): Feature {
  const missing = needs === undefined ? [] : missingOf(needs, mechanisms)
  const how =
    missing.length > 0 ? `missing: ${missing.join(', ')}` : 'listed, but Strongroom does not use it yet: not tried'
  return { feature, available: 'no', how }
}

/** A token may list CKM_EDDSA and ignore what asks for the prehash, as SoftHSM does: nothing is signed by it. */
function prehash({ mechanisms }: TokenInspection): Feature {
  const feature = 'Ed25519 with a prehash'
  const listed = mechanisms.some(({ name }) => name === 'CKM_EDDSA')
  return { feature, available: 'no', how: listed ? 'not used: proven on no token' : 'missing: CKM_EDDSA' }
}

function missingOf(needs: SpecNeeds, mechanisms: TokenInspection['mechanisms']): string[] {
  return needs.mechanisms.filter(wanted => !mechanisms.some(({ name }) => name === wanted))
}
