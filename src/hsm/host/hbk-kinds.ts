/** The kinds of HBK: what each is for, how long it is, and what it is as an object of a token. */
import pkcs11 from 'pkcs11js'
import type { Kdf, Purpose } from '../../formats/derivation.ts'
import type { TokenKeyType } from '../../formats/ekt.ts'
import { HsmFault } from '../contract/fault.ts'
import type { MessageCiphers } from './ciphers/message-ciphers.ts'
import {
  type Attributes,
  attributes,
  type Cryptoki,
  NO_RIGHTS,
  type ObjectHandle,
  type SessionHandle,
} from './cryptoki.ts'
import { AES_KEY_GENERATION, GENERIC_SECRET_GENERATION } from './mechanisms.ts'

/** What an HBK is for. One HBK, one purpose: a right or a derivation label of one kind is never given to another. */
export interface HbkKind {
  readonly keySpec: string
  readonly keyUsage: string
  readonly lengthBytes: number
  /** The derivation label, for kinds that DEKs are derived from; the others make MACs. */
  readonly purpose?: Purpose
}

/**
 * The object that an EKT stands for: its type in every token, its one right in this one. Suite 1 encrypts with it; suite 2
 * computes an HMAC, and tokens want a generic secret for that, by a mechanism of SP 800-108 as by C_Sign.
 */
export interface HbkObject {
  readonly tokenKeyType: TokenKeyType
  readonly right: 'DERIVE' | 'SIGN'
  readonly lengthBytes: number
}

const hmacKind = (bits: number): HbkKind => ({
  keySpec: `HMAC_${bits}`,
  keyUsage: 'GENERATE_VERIFY_MAC',
  lengthBytes: bits / 8,
})

const KINDS: readonly HbkKind[] = [
  { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT', lengthBytes: 32, purpose: 'data' },
  { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'IDENTITY', lengthBytes: 32, purpose: 'identity' },
  { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'SESSION', lengthBytes: 32, purpose: 'session' },
  ...[224, 256, 384, 512].map(hmacKind),
]

/** Throws HsmFault `key` when no HBK is made for these. */
export function kindOf(keySpec: string, keyUsage: string): HbkKind {
  const kind = KINDS.find(entry => entry.keySpec === keySpec && entry.keyUsage === keyUsage)
  if (kind === undefined) throw new HsmFault('key', `no HBK is made for ${keySpec} and ${keyUsage}`)
  return kind
}

/**
 * What an HBK of this kind is as an object; `kdf` is undefined for keys that make MACs. Throws HsmFault `key` when this token does
 * not derive by it.
 */
export function objectOf(
  { lengthBytes }: HbkKind,
  kdf: Kdf | undefined,
  ciphers: Pick<MessageCiphers, 'byKdf'>,
): HbkObject {
  if (kdf === undefined) return { tokenKeyType: 'GENERIC_SECRET', right: 'SIGN', lengthBytes }
  const cipher = ciphers.byKdf(kdf)
  if (cipher === undefined) throw new HsmFault('key', `this token does not derive by ${kdf}`)
  return { tokenKeyType: kdf === 'AES-CBC-DATA' ? 'AES' : 'GENERIC_SECRET', right: cipher.hbkRight, lengthBytes }
}

/** Where an HBK lives, and whether it may leave: as a session object to be wrapped or just unwrapped, or in the token. */
interface Place {
  readonly inToken: boolean
  readonly extractable: boolean
}

export function hbkTemplate({ tokenKeyType, right }: HbkObject, { inToken, extractable }: Place): Attributes {
  return attributes({
    CLASS: pkcs11.CKO_SECRET_KEY,
    KEY_TYPE: tokenKeyType === 'AES' ? pkcs11.CKK_AES : pkcs11.CKK_GENERIC_SECRET,
    TOKEN: inToken,
    PRIVATE: true,
    SENSITIVE: true,
    EXTRACTABLE: extractable,
    ...NO_RIGHTS,
    [right]: true,
  })
}

/** Generates an HBK. `more` ends the template: SoftHSM applies attributes one by one, so MODIFIABLE=false comes last. */
export function generateHbk(
  cryptoki: Cryptoki,
  session: SessionHandle,
  object: HbkObject,
  place: Place,
  more: Attributes = [],
): ObjectHandle {
  const mechanism = object.tokenKeyType === 'AES' ? AES_KEY_GENERATION : GENERIC_SECRET_GENERATION
  return cryptoki.C_GenerateKey(session, mechanism, [
    ...hbkTemplate(object, place),
    ...attributes({ VALUE_LEN: object.lengthBytes }),
    ...more,
  ])
}
