/** The mechanisms this world uses, by the standard they implement. Numbers never leave this file's importers. */
import pkcs11 from 'pkcs11js'

export const AES_KEY_GENERATION: pkcs11.Mechanism = { mechanism: pkcs11.CKM_AES_KEY_GEN }
export const GENERIC_SECRET_GENERATION: pkcs11.Mechanism = { mechanism: pkcs11.CKM_GENERIC_SECRET_KEY_GEN }
export const HMAC_SHA_256: pkcs11.Mechanism = { mechanism: pkcs11.CKM_SHA256_HMAC }

/**
 * RFC 5649 has two numbers. 0x210B is the standard's own; 0x210A is RFC 5649 on SoftHSM, and PKCS #7 padding with
 * RFC 3394 on NSS. A self-test decides, never the number.
 */
export const RFC5649_CANDIDATES = [0x210b, 0x210a] as const
export const AES_CBC_ENCRYPT_DATA = 0x1105
export const AES_GCM = pkcs11.CKM_AES_GCM

export const HMAC_BY_SPEC: Readonly<Record<string, pkcs11.Mechanism>> = {
  HMAC_224: { mechanism: pkcs11.CKM_SHA224_HMAC },
  HMAC_256: { mechanism: pkcs11.CKM_SHA256_HMAC },
  HMAC_384: { mechanism: pkcs11.CKM_SHA384_HMAC },
  HMAC_512: { mechanism: pkcs11.CKM_SHA512_HMAC },
}

/**
 * AES-256-GCM with a 96-bit IV and a 128-bit tag. The v2.40 parameter type: the other one of pkcs11js leaves ulIvBits
 * uninitialised.
 */
export function aesGcm(iv: Buffer, aad: Buffer): pkcs11.Mechanism {
  return {
    mechanism: AES_GCM,
    parameter: { type: pkcs11.CK_PARAMS_AES_GCM_v240, iv, ivBits: iv.length * 8, aad, tagBits: 128 } as pkcs11.IParams,
  }
}

export function aesCbcEncryptData(iv: Buffer, data: Buffer): pkcs11.Mechanism {
  return { mechanism: AES_CBC_ENCRYPT_DATA, parameter: { type: pkcs11.CK_PARAMS_AES_CBC, iv, data } as pkcs11.AesCBC }
}
