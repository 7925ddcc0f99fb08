/**
 * What resident HBKs are as objects of a token, and what each commits to: something that only the HBK computes, and computes
 * alike each time (formats/resident-key.ts).
 */
import pkcs11 from 'pkcs11js'
import { wipe } from '../../base/bytes.ts'
import type { EktFields } from '../../formats/ekt.ts'
import { commitmentInput, commitmentOf } from '../../formats/resident-key.ts'
import { HsmFault } from '../contract/fault.ts'
import type { Cryptoki, ObjectHandle, SessionHandle } from './cryptoki.ts'
import { type PairKind, pairKindOf } from './key-pairs.ts'
import { HMAC_BY_SPEC, HMAC_SHA_256 } from './mechanisms.ts'
import { signatureRecipe } from './signatures.ts'

const LONGEST_MAC_BYTES = 64

export interface ResidentForm {
  readonly objectClass: number
  /** The commitment of an object to the HBK of this key and material. */
  commit(session: SessionHandle, handle: ObjectHandle, identity: { kid: Buffer; mid: Buffer }): Buffer
}

/** Of a record's HBK. Throws HsmFault `key` for kinds that reside nowhere. */
export function residentFormOf(
  cryptoki: Cryptoki,
  { keySpec, keyUsage }: Pick<EktFields, 'keySpec' | 'keyUsage'>,
): ResidentForm {
  const pair = pairKindOf(keySpec, keyUsage)
  return pair === undefined ? secretForm(cryptoki, keySpec) : pairForm(cryptoki, pair)
}

/** A secret key commits to an HMAC, by its own hash where it has one: a token may want keys no shorter than the hash. */
export function secretForm(cryptoki: Cryptoki, keySpec: string): ResidentForm {
  return {
    objectClass: pkcs11.CKO_SECRET_KEY,
    commit(session, handle, { kid, mid }) {
      cryptoki.C_SignInit(session, HMAC_BY_SPEC[keySpec] ?? HMAC_SHA_256, handle)
      const mac = cryptoki.C_Sign(session, commitmentInput(kid, mid), Buffer.alloc(LONGEST_MAC_BYTES))
      try {
        return commitmentOf(mac)
      } finally {
        wipe(mac)
      }
    },
  }
}

/**
 * An Ed25519 key commits to a signature, which has no nonce (RFC 8032 section 5.1.6). Throws HsmFault `key` for pairs whose
 * one right gives nothing that is the same each time: they reside nowhere.
 */
export function pairForm(cryptoki: Cryptoki, kind: PairKind): ResidentForm {
  if (kind.tokenKeyType !== 'EC_EDWARDS') throw new HsmFault('key', `no ${kind.keySpec} key resides in a token`)
  return {
    objectClass: pkcs11.CKO_PRIVATE_KEY,
    commit(session, handle, { kid, mid }) {
      const input = commitmentInput(kid, mid)
      const recipe = signatureRecipe(kind, 'ED25519_SHA_512', input)
      cryptoki.C_SignInit(session, recipe.mechanism, handle)
      return commitmentOf(cryptoki.C_Sign(session, recipe.input(input), Buffer.alloc(recipe.signatureBytes)))
    },
  }
}
