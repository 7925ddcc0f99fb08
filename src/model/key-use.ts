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

/** By what the request that used a key is found. */
export interface UsingRequest {
  /** As its caller was told it. */
  readonly requestId: string
  /** Of its event in the audit log; absent of a use from before these were recorded. */
  readonly eventId?: string
}

export interface KeyUse extends UsingRequest {
  readonly region: string
  readonly account: string
  readonly keyId: string
  readonly operation: UsingOperation
  readonly atMs: number
}
