/** The last time that a key was put to use, which GetKeyLastUsage tells. */

/** What counts as using a key. */
export const USING_OPERATIONS = [
  'Decapsulate',
  'Decrypt',
  'DeriveSharedSecret',
  'Encapsulate',
  'Encrypt',
  'GenerateDataKey',
  'GenerateDataKeyPair',
  'GenerateDataKeyPairWithoutPlaintext',
  'GenerateDataKeyWithoutPlaintext',
  'GenerateMac',
  'ReEncrypt',
  'Sign',
  'Verify',
  'VerifyMac',
] as const
export type UsingOperation = (typeof USING_OPERATIONS)[number]

export interface KeyUse {
  readonly region: string
  readonly account: string
  readonly keyId: string
  readonly operation: UsingOperation
  readonly atMs: number
  /** Of the request, as its caller was told it. */
  readonly requestId: string
}
