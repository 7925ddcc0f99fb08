/**
 * What requests are counted as when their rate is limited, and AWS's own rates: requests a second of an account in a region
 * (kms-api.md 12, the lowest where regions differ). Cryptographic operations share a rate by the kind of key that they ask
 * of a token; every other operation has one of its own, by its name.
 */
export const AWS_REQUEST_RATES = {
  /** Encrypt, Decrypt, ReEncrypt, data keys, MACs and random bytes. */
  symmetric: 5_500,
  /** The same with RSA keys, and Sign and Verify. */
  rsa: 500,
  /** Sign, Verify and DeriveSharedSecret with keys of any other kind. */
  ecc: 300,
  rsa2048DataKeyPairs: 1,
  rsa3072DataKeyPairs: 0.5,
  rsa4096DataKeyPairs: 0.1,
  /** P-384 and P-521 have their own; this is for all other curves. */
  eccDataKeyPairs: 25,
  p384DataKeyPairs: 10,
  p521DataKeyPairs: 5,
  /** GetCallerIdentity and AssumeRole; a quota of STS. */
  sts: 600,
  /** A quota of CloudTrail. */
  lookupEvents: 2,
  CancelKeyDeletion: 5,
  ConnectCustomKeyStore: 5,
  CreateAlias: 5,
  CreateCustomKeyStore: 5,
  CreateGrant: 50,
  CreateKey: 5,
  DeleteAlias: 15,
  DeleteCustomKeyStore: 5,
  DeleteImportedKeyMaterial: 5,
  DescribeCustomKeyStores: 5,
  DescribeKey: 2_000,
  DisableKey: 5,
  DisableKeyRotation: 5,
  DisconnectCustomKeyStore: 5,
  EnableKey: 5,
  EnableKeyRotation: 15,
  GetKeyLastUsage: 5,
  GetKeyPolicy: 1_000,
  GetKeyRotationStatus: 1_000,
  GetParametersForImport: 0.25,
  GetPublicKey: 2_000,
  ImportKeyMaterial: 5,
  ListAliases: 500,
  ListGrants: 100,
  ListKeyPolicies: 100,
  ListKeyRotations: 100,
  ListKeys: 500,
  ListResourceTags: 2_000,
  ListRetirableGrants: 100,
  PutKeyPolicy: 15,
  ReplicateKey: 5,
  RetireGrant: 30,
  RevokeGrant: 30,
  RotateKeyOnDemand: 5,
  ScheduleKeyDeletion: 15,
  TagResource: 10,
  UntagResource: 5,
  UpdateAlias: 5,
  UpdateCustomKeyStore: 5,
  UpdateKeyDescription: 5,
  UpdatePrimaryRegion: 5,
} as const

/** What one request counts as, beside {@link ALL_REQUESTS}. */
export type RateName = keyof typeof AWS_REQUEST_RATES
/** Every request, whatever it is; AWS has no such rate. */
export const ALL_REQUESTS = 'all'
export const RATE_NAMES = [ALL_REQUESTS, ...(Object.keys(AWS_REQUEST_RATES) as RateName[])] as const
