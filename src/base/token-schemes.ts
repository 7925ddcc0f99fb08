/** The names of what a token may be pinned to, as configuration and HSM contract both spell them. Best first. */

export const KEY_WRAP_SCHEMES = ['RFC5649', 'RFC3394'] as const
export const KDF_SCHEMES = ['SP800-108-HMAC-SHA256', 'AES-CBC-DATA'] as const

/** Who makes the IV of AES-GCM: the caller, or the token, which then tells it in the parameter or after the tag. */
export const GCM_IV_MAKERS = ['caller', 'hsm-in-param', 'hsm-suffix'] as const

/** No pin: what the self-tests found. */
export const ANY = 'any'
