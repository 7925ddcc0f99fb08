/**
 * THE table of answers: every operation of KMS, with every kind of key, in every state (kms-api.md sections 5 and 6, in
 * their order of checks). Data only; key-table.test.ts asks for every cell, and fails where one is missing.
 */
import type { KeyState } from '@aws-sdk/client-kms'
import type { KeyOrigin } from '../../src/model/key.ts'
import type { KeySpec, KeyUsage } from '../../src/model/key-specs.ts'

/** Kinds of keys that are answered alike. */
export interface Column {
  readonly specs: readonly KeySpec[]
  readonly usage: KeyUsage
  readonly origin: KeyOrigin
  /** The primary of two related keys; the other is in the second region. */
  readonly multiRegion?: true
  /** Of which each cell has one answer, in this order. */
  readonly states: readonly KeyState[]
}

const GENERATED = { origin: 'AWS_KMS', states: ['Enabled', 'Disabled', 'PendingDeletion'] } as const
const IMPORTED = { origin: 'EXTERNAL', states: ['Enabled', 'Disabled', 'PendingImport', 'PendingDeletion'] } as const

const REPLICATED = {
  origin: 'AWS_KMS',
  multiRegion: true,
  states: ['Enabled', 'Disabled', 'PendingReplicaDeletion'],
} as const

const symmetric = { specs: ['SYMMETRIC_DEFAULT'], usage: 'ENCRYPT_DECRYPT' } as const
const rsaEncryption = { specs: ['RSA_2048', 'RSA_3072', 'RSA_4096'], usage: 'ENCRYPT_DECRYPT' } as const
const rsaSigning = { ...rsaEncryption, usage: 'SIGN_VERIFY' } as const
const agreement = { specs: ['ECC_NIST_P256', 'ECC_NIST_P384', 'ECC_NIST_P521'], usage: 'KEY_AGREEMENT' } as const
const ecSigning = { specs: [...agreement.specs, 'ECC_SECG_P256K1'], usage: 'SIGN_VERIFY' } as const
const edSigning = { specs: ['ECC_NIST_EDWARDS25519'], usage: 'SIGN_VERIFY' } as const
const mac = { specs: ['HMAC_224', 'HMAC_256', 'HMAC_384', 'HMAC_512'], usage: 'GENERATE_VERIFY_MAC' } as const

/** By their name in the table's head; a star is for imported material, mr for a multi-Region key. */
export const COLUMNS: Readonly<Record<string, Column>> = {
  sym: { ...symmetric, ...GENERATED },
  'sym*': { ...symmetric, ...IMPORTED },
  mr: { ...symmetric, ...REPLICATED },
  rsaE: { ...rsaEncryption, ...GENERATED },
  'rsaE*': { ...rsaEncryption, ...IMPORTED },
  rsaS: { ...rsaSigning, ...GENERATED },
  'rsaS*': { ...rsaSigning, ...IMPORTED },
  ecS: { ...ecSigning, ...GENERATED },
  'ecS*': { ...ecSigning, ...IMPORTED },
  ecA: { ...agreement, ...GENERATED },
  'ecA*': { ...agreement, ...IMPORTED },
  edS: { ...edSigning, ...GENERATED },
  'edS*': { ...edSigning, ...IMPORTED },
  mac: { ...mac, ...GENERATED },
  'mac*': { ...mac, ...IMPORTED },
}

/** What a key of a cell is told, by the cell's letter. */
export interface AskedKey {
  readonly arn: string
  readonly usage: KeyUsage
  readonly origin: KeyOrigin
}

type Words = (key: AskedKey, operation: string) => string

const OK = 'answered'
const stateIs =
  (code: string, words: string): Words =>
  ({ arn }) =>
    `${code}: ${arn} is ${words}.`

/** Whole answers where the reference has AWS's words, codes where it leaves them free. */
export const ANSWERS: Readonly<Record<string, Words>> = {
  '+': () => OK,
  D: stateIs('DisabledException', 'disabled'),
  I: stateIs('KMSInvalidStateException', 'pending import'),
  P: stateIs('KMSInvalidStateException', 'pending deletion'),
  R: stateIs('KMSInvalidStateException', 'pending replica deletion'),
  N: stateIs('KMSInvalidStateException', 'not pending deletion'),
  /** There is a replica already. */
  E: () => 'AlreadyExistsException',
  /** Nothing waits to become the current material. */
  W: () => 'KMSInvalidStateException',
  /** The usage is another. */
  U: ({ arn, usage }, operation) =>
    `InvalidKeyUsageException: ${arn} key usage is ${usage} which is not valid for ${operation}.`,
  /** The usage is right, and the key is of a kind that makes no data keys. */
  A: () => 'InvalidKeyUsageException: You cannot generate a data key with an asymmetric CMK',
  /** The origin is another. */
  O: ({ arn, origin }) =>
    `UnsupportedOperationException: ${arn} origin is ${origin} which is not valid for this operation.`,
  /** Keys of this spec and origin have no such thing. */
  S: () => 'UnsupportedOperationException',
}

/** A row is an operation; one that takes two keys has a row for each of them. */
export const CELLS = `
                                    sym   sym*  mr    rsaE  rsaE* rsaS  rsaS* ecS   ecS*  ecA   ecA*  edS   edS*  mac   mac*
Encrypt                             +DP   +DIP  +DR   +DP   +DIP  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU
Decrypt                             +DP   +DIP  +DR   +DP   +DIP  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU
ReEncrypt from                      +DP   +DIP  +DR   +DP   +DIP  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU
ReEncrypt to                        +DP   +DIP  +DR   +DP   +DIP  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU
GenerateDataKey                     +DP   +DIP  +DR   ADP   ADIP  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU
GenerateDataKeyWithoutPlaintext     +DP   +DIP  +DR   ADP   ADIP  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU
GenerateDataKeyPair                 +DP   +DIP  +DR   ADP   ADIP  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU
GenerateDataKeyPairWithoutPlaintext +DP   +DIP  +DR   ADP   ADIP  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU

Sign                                UUU   UUUU  UUU   UUU   UUUU  +DP   +DIP  +DP   +DIP  UUU   UUUU  +DP   +DIP  UUU   UUUU
Verify                              UUU   UUUU  UUU   UUU   UUUU  +DP   +DIP  +DP   +DIP  UUU   UUUU  +DP   +DIP  UUU   UUUU
GetPublicKey                        SDP   SDIP  SDR   +DP   +DIP  +DP   +DIP  +DP   +DIP  +DP   +DIP  +DP   +DIP  SDP   SDIP
DeriveSharedSecret                  UUU   UUUU  UUU   UUU   UUUU  UUU   UUUU  UUU   UUUU  +DP   +DIP  UUU   UUUU  UUU   UUUU
GenerateMac                         UUU   UUUU  UUU   UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  +DP   +DIP
VerifyMac                           UUU   UUUU  UUU   UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  +DP   +DIP
Encapsulate                         UUU   UUUU  UUU   UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU
Decapsulate                         UUU   UUUU  UUU   UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU  UUU   UUUU

DescribeKey                         +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++
GetKeyLastUsage                     +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++
EnableKey                           ++P   ++IP  ++R   ++P   ++IP  ++P   ++IP  ++P   ++IP  ++P   ++IP  ++P   ++IP  ++P   ++IP
DisableKey                          ++P   ++IP  ++R   ++P   ++IP  ++P   ++IP  ++P   ++IP  ++P   ++IP  ++P   ++IP  ++P   ++IP
UpdateKeyDescription                ++P   +++P  ++R   ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P
ScheduleKeyDeletion                 ++P   +++P  ++R   ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P
CancelKeyDeletion                   NN+   NNN+  NN+   NN+   NNN+  NN+   NNN+  NN+   NNN+  NN+   NNN+  NN+   NNN+  NN+   NNN+

EnableKeyRotation                   +DP   OOOO  +DR   SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS
DisableKeyRotation                  +DP   OOOO  +DR   SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS
GetKeyRotationStatus                +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++
RotateKeyOnDemand                   +DP   WDIP  +DR   SDP   SDIP  SDP   SDIP  SDP   SDIP  SDP   SDIP  SDP   SDIP  SDP   SDIP
ListKeyRotations                    +++   ++++  +++   SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS

GetParametersForImport              OOO   +++P  OOO   OOO   +++P  OOO   +++P  OOO   +++P  OOO   +++P  OOO   +++P  OOO   +++P
ImportKeyMaterial                   OOO   +++P  OOO   OOO   +++P  OOO   +++P  OOO   +++P  OOO   +++P  OOO   +++P  OOO   +++P
DeleteImportedKeyMaterial           OOO   ++++  OOO   OOO   ++++  OOO   ++++  OOO   ++++  OOO   ++++  OOO   ++++  OOO   ++++

CreateAlias                         ++P   +++P  ++R   ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P
UpdateAlias from                    +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++
UpdateAlias to                      ++P   +++P  ++R   ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P
DeleteAlias                         +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++
ListAliases                         +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++

TagResource                         ++P   +++P  ++R   ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P
UntagResource                       ++P   +++P  ++R   ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P  ++P   +++P
ListResourceTags                    +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++

GetKeyPolicy                        +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++
ListKeyPolicies                     +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++
PutKeyPolicy                        +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++

CreateGrant                         +DP   +DIP  +DR   +DP   +DIP  +DP   +DIP  +DP   +DIP  +DP   +DIP  +DP   +DIP  +DP   +DIP
ListGrants                          +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++
RetireGrant                         +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++
RevokeGrant                         +++   ++++  +++   +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++  +++   ++++

ReplicateKey                        SDP   SDIP  EDR   SDP   SDIP  SDP   SDIP  SDP   SDIP  SDP   SDIP  SDP   SDIP  SDP   SDIP
UpdatePrimaryRegion                 SSS   SSSS  +DR   SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS  SSS   SSSS
`

/** Operations that are about no key that exists. What is not offered answers UnsupportedOperationException. */
export const ON_NO_KEY = {
  offered: ['CreateKey', 'GenerateRandom', 'ListKeys', 'ListRetirableGrants'],
  notOffered: [
    'ConnectCustomKeyStore',
    'CreateCustomKeyStore',
    'DeleteCustomKeyStore',
    'DescribeCustomKeyStores',
    'DisconnectCustomKeyStore',
    'UpdateCustomKeyStore',
  ],
} as const

/** States that no key can come to here, and why. */
export const STATES_THAT_ARE_NOT_REACHED: Readonly<Partial<Record<KeyState, string>>> = {
  Unavailable: 'of keys in custom key stores, which are not offered',
  Creating: 'a key is there when CreateKey or ReplicateKey answers',
  Updating: 'UpdatePrimaryRegion is one transaction',
}

/** Specs of which CreateKey makes no keys on SoftHSM. */
export const SPECS_THAT_ARE_NOT_OFFERED: readonly KeySpec[] = [
  'ML_DSA_44',
  'ML_DSA_65',
  'ML_DSA_87',
  'ML_KEM_512',
  'ML_KEM_768',
  'ML_KEM_1024',
  'SM2',
]
