/**
 * Moving a domain's keys from token A to token B (design.md 3): B makes a one-shot RSA pair, A's security officer marks
 * its public half trusted for the moment, A wraps, B unwraps, and the pair is forgotten. No transfer blob is stored.
 */
import { createHash } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import type { TransferKey } from '../../contract/ceremony.ts'
import { HsmFault } from '../../contract/fault.ts'
import { OAEP_HASHES, type OaepHash } from '../../contract/token-profile.ts'
import { ckrCode } from '../ckr.ts'
import {
  attributes,
  findObjects,
  NO_RIGHTS,
  type ObjectHandle,
  type SessionHandle,
  unwrapTemplate,
} from '../cryptoki.ts'
import { labelOf } from '../domain-keys.ts'
import { AES_KEY_GENERATION, oaepMechanism } from '../mechanisms.ts'
import type { Token } from '../token.ts'

const MODULUS_BITS = 3_072
const EXPONENT = Buffer.from('010001', 'hex')
const WRAPPED_MAX_BYTES = 512
const LABEL = labelOf('transfer')

export interface TransferPair {
  readonly publicHalf: TransferKey
  /** A session object: it ends with this process, and nothing on disk knows it. */
  readonly privateKey: ObjectHandle
}

/** Makes the pair in B. What its private half unwraps is sensitive from the first moment. */
export function generateTransferPair(token: Token, session: SessionHandle): TransferPair {
  const { cryptoki } = token
  const { privateKey, publicKey } = cryptoki.C_GenerateKeyPair(
    session,
    { mechanism: pkcs11.CKM_RSA_PKCS_KEY_PAIR_GEN },
    attributes({
      TOKEN: false,
      PRIVATE: false,
      MODULUS_BITS,
      PUBLIC_EXPONENT: EXPONENT,
      WRAP: true,
      ENCRYPT: false,
      VERIFY: false,
    }),
    [
      ...attributes({ TOKEN: false, PRIVATE: true, SENSITIVE: true, EXTRACTABLE: false }),
      ...attributes({ DECRYPT: false, SIGN: false, UNWRAP: true }),
      unwrapTemplate({ SENSITIVE: true }),
    ],
  )
  const read = (type: number) =>
    Buffer.from(cryptoki.C_GetAttributeValue(session, publicKey, [{ type }])[0]?.value as Buffer)
  const modulus = read(pkcs11.CKA_MODULUS)
  const exponent = read(pkcs11.CKA_PUBLIC_EXPONENT)
  const oaepHashes = OAEP_HASHES.filter(hash => unwraps(token, session, publicKey, privateKey, hash))
  cryptoki.C_DestroyObject(session, publicKey)
  if (oaepHashes.length === 0)
    throw new HsmFault(
      'token',
      `token "${token.label}" unwraps nothing by RSA-OAEP: no domain can be carried to it, so its region has one token`,
    )
  const publicHalf = {
    modulus: modulus.toString('base64'),
    exponent: exponent.toString('base64'),
    fingerprint: fingerprintOf(modulus, exponent),
    oaepHashes,
  }
  return { publicHalf, privateKey }
}

/** In A, as the security officer: the public half becomes a token object that is trusted. Returns nothing to wrap with yet. */
export function trustTransferKey({ cryptoki }: Token, session: SessionHandle, key: TransferKey): void {
  const modulus = Buffer.from(key.modulus, 'base64')
  const exponent = Buffer.from(key.exponent, 'base64')
  if (fingerprintOf(modulus, exponent) !== key.fingerprint)
    throw new HsmFault('input', 'the transfer key is not its fingerprint')
  cryptoki.C_CreateObject(
    session,
    attributes({
      CLASS: pkcs11.CKO_PUBLIC_KEY,
      KEY_TYPE: pkcs11.CKK_RSA,
      TOKEN: true,
      PRIVATE: false,
      LABEL,
      MODULUS: modulus,
      PUBLIC_EXPONENT: exponent,
      WRAP: true,
      ENCRYPT: false,
      VERIFY: false,
      TRUSTED: true,
    }),
  )
}

/** In A: removes every transfer key, those of interrupted ceremonies too. */
export function forgetTransferKeys({ cryptoki }: Token, session: SessionHandle): void {
  for (const handle of findObjects(cryptoki, session, attributes({ CLASS: pkcs11.CKO_PUBLIC_KEY, LABEL }))) {
    cryptoki.C_DestroyObject(session, handle)
  }
}

/** In A, as the user: wraps keys under the one transfer key, with the first hash that A can use. */
export function wrapForTransfer(
  { cryptoki, label }: Token,
  session: SessionHandle,
  key: TransferKey,
  handles: readonly ObjectHandle[],
): { oaepHash: OaepHash; wrapped: string[] } {
  const [transferKey, ...others] = findObjects(cryptoki, session, attributes({ CLASS: pkcs11.CKO_PUBLIC_KEY, LABEL }))
  if (transferKey === undefined || others.length > 0)
    throw new HsmFault('token', 'there is not exactly one transfer key')
  for (const oaepHash of key.oaepHashes) {
    try {
      const wrapped = handles.map(handle =>
        cryptoki
          .C_WrapKey(session, oaepMechanism(oaepHash), transferKey, handle, Buffer.alloc(WRAPPED_MAX_BYTES))
          .toString('base64'),
      )
      return { oaepHash, wrapped }
    } catch (error) {
      if (!isMechanismFault(error)) throw error
    }
  }
  throw new HsmFault('token', `token "${label}" wraps by none of RSA-OAEP ${key.oaepHashes.join(', ')}`)
}

/** Known answer on a throw-away key: whether the pair can move anything with this hash. */
function unwraps(
  { cryptoki }: Token,
  session: SessionHandle,
  publicKey: ObjectHandle,
  privateKey: ObjectHandle,
  hash: OaepHash,
): boolean {
  const secret = {
    CLASS: pkcs11.CKO_SECRET_KEY,
    KEY_TYPE: pkcs11.CKK_AES,
    TOKEN: false,
    PRIVATE: true,
    SENSITIVE: true,
  }
  const throwAway = cryptoki.C_GenerateKey(
    session,
    AES_KEY_GENERATION,
    attributes({ ...secret, VALUE_LEN: 32, EXTRACTABLE: true, ...NO_RIGHTS }),
  )
  try {
    const wrapped = cryptoki.C_WrapKey(
      session,
      oaepMechanism(hash),
      publicKey,
      throwAway,
      Buffer.alloc(WRAPPED_MAX_BYTES),
    )
    const template = attributes({ ...secret, EXTRACTABLE: false, ...NO_RIGHTS })
    cryptoki.C_DestroyObject(session, cryptoki.C_UnwrapKey(session, oaepMechanism(hash), privateKey, wrapped, template))
    return true
  } catch (error) {
    if (isMechanismFault(error)) return false
    throw error
  } finally {
    cryptoki.C_DestroyObject(session, throwAway)
  }
}

/** CKR_ARGUMENTS_BAD, CKR_MECHANISM_INVALID, CKR_MECHANISM_PARAM_INVALID: the token does not know this hash. */
function isMechanismFault(error: unknown): boolean {
  return [0x07, 0x70, 0x71].includes(ckrCode(error) ?? 0)
}

/** SHA-256 of modulus and exponent: computed by each side from the key that it has. */
export function fingerprintOf(modulus: Buffer, exponent: Buffer): string {
  return createHash('sha256').update(modulus).update(exponent).digest('hex')
}
