/** Mechanism numbers as operators read them: PKCS#11's names, and those of vendors that this world knows. */
import pkcs11 from 'pkcs11js'

/** PKCS#11 3.0 to 3.2, which pkcs11js does not name, and vendors' own. */
const FURTHER: Readonly<Record<number, string>> = {
  15: 'CKM_ML_KEM_KEY_PAIR_GEN',
  23: 'CKM_ML_KEM',
  28: 'CKM_ML_DSA_KEY_PAIR_GEN',
  29: 'CKM_ML_DSA',
  940: 'CKM_SP800_108_COUNTER_KDF',
  941: 'CKM_SP800_108_FEEDBACK_KDF',
  942: 'CKM_SP800_108_DOUBLE_PIPELINE_KDF',
  4181: 'CKM_EC_EDWARDS_KEY_PAIR_GEN',
  4182: 'CKM_EC_MONTGOMERY_KEY_PAIR_GEN',
  4183: 'CKM_EDDSA',
  8459: 'CKM_AES_KEY_WRAP_KWP',
  16426: 'CKM_HKDF_DERIVE',
  2147483649: 'CKM_CLOUDHSM_SP800_108_COUNTER_KDF',
  2147484016: 'CKM_LUNA_AES_KW',
  2147484017: 'CKM_LUNA_AES_KWP',
  2147487879: 'CKM_CLOUDHSM_AES_GCM',
  2147492105: 'CKM_CLOUDHSM_AES_KEY_WRAP_NO_PAD',
  2147492106: 'CKM_CLOUDHSM_AES_KEY_WRAP_PKCS5_PAD',
  2147492207: 'CKM_CLOUDHSM_AES_KEY_WRAP_ZERO_PAD',
  3646243332: 'CKM_YUBICO_AES_CCM_WRAP',
}

const names: ReadonlyMap<number, string> = new Map([
  ...Object.entries(pkcs11 as unknown as Record<string, unknown>).flatMap(([name, value]): [number, string][] =>
    name.startsWith('CKM_') && typeof value === 'number' ? [[value, name]] : [],
  ),
  ...Object.entries(FURTHER).map(([number, name]): [number, string] => [Number(number), name]),
])

/** Empty where the number is not known. */
export function mechanismName(number: number): string {
  return names.get(number) ?? ''
}
