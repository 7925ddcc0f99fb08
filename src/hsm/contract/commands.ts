/**
 * == The border == everything the service may ask of an HSM. Plain values and bytes only: no handle, session, slot or
 * mechanism crosses it, and nothing a command claims is trusted in the crypto world beyond what a verified EKT says.
 * A command without its handler in host/commands does not compile.
 */
import { CONTEXT_HASH_BYTES } from '../../formats/aad.ts'
import { CHAIN_HASH_BYTES, CHAIN_ID_BYTES } from '../../formats/audit-chain.ts'
import {
  ANCHOR_BYTES,
  CHECKPOINT_MAX_BYTES,
  CHECKPOINT_SIGNATURE_MAX_BYTES,
  OTHER_HEADS_MAX,
} from '../../formats/audit-checkpoint.ts'
import { MID_BYTES } from '../../formats/ciphertext.ts'
import { EKT_RECORD_MAX_BYTES } from '../../formats/ekt.ts'
import { IMPORT_ID_BYTES, IMPORT_MAC_BYTES } from '../../formats/import-token.ts'
import { IMPORT_COMMITMENT_BYTES } from '../../formats/imported-material.ts'
import { CKA_ID_BYTES } from '../../formats/resident-key.ts'
import { LEDGER_DIGEST_BYTES } from '../../formats/row-ledger.ts'
import {
  ROW_CONTENT_BYTES,
  ROW_MAC_BYTES,
  ROW_PRIMARY_KEY_MAX_BYTES,
  ROW_TABLE_MAX_BYTES,
} from '../../formats/row-mac.ts'
import { SEALED_SECRET_MAX_BYTES } from '../../formats/sealed-secret.ts'
import { SEALED_SESSION_MAX_BYTES, SESSION_TERMS_MAX_BYTES } from '../../formats/session-token.ts'
import { KID_BYTES } from '../../model/key-id.ts'
import { bytes, ekt, fixed, flag, type Layout, list, oneOf, text, u16, u32, u64, type Values } from './fields.ts'

export const PLAINTEXT_MAX_BYTES = 4_096
export const CIPHERTEXT_MAX_BYTES = 6_144
export const DATA_KEY_MAX_BYTES = 1_024
export const MAC_MESSAGE_MAX_BYTES = 4_096
/** SubjectPublicKeyInfo of ML-KEM-1024 takes 1,590 bytes. */
export const PUBLIC_KEY_MAX_BYTES = 2_048
export const SIGNATURE_MAX_BYTES = 512
/** A coordinate on P-521. */
export const SHARED_SECRET_MAX_BYTES = 66
/** CKA_IDs in one answer. */
export const RESIDENT_KEYS_PAGE = 1_000

/**
 * - `imported`: there is an EKT.
 * - `token`: the import token is not for this key.
 * - `padded`: a MAC key longer than its hash's block that this token pads when it wraps, and so changes.
 */
export const IMPORT_OUTCOMES = ['imported', 'token', 'padded', 'full'] as const
/** Records in one macRows or verifyRows, so that the command keeps within a frame. */
export const ROWS_MAX = 64

interface Command<A extends Layout, R extends Layout> {
  /** The number on the wire; never reused. */
  readonly code: number
  /** A host that works on the command for longer than this counts as mute and is killed. */
  readonly deadlineMs: number
  /** Whether the command leaves something behind, so that the pool must not send it twice, whatever became of it. */
  readonly once: boolean
  readonly args: A
  readonly result: R
}

const command = <A extends Layout, R extends Layout>(
  code: number,
  deadlineMs: number,
  args: A,
  result: R,
): Command<A, R> => ({
  code,
  deadlineMs,
  once: false,
  args,
  result,
})

/** Short enough that a caller whose every token is mute hears of it within a second. */
const HOT_DEADLINE_MS = 900
const KEY_GENERATION_DEADLINE_MS = 3_000
/** RSA-4096 takes some 20 ms of a CPU, and its queue may be long. */
const ASYMMETRIC_DEADLINE_MS = 5_000
/** Prime numbers are looked for, with luck. */
const RSA_GENERATION_DEADLINE_MS = 60_000

const NAME_MAX = 64
const anyEkt = ekt(EKT_RECORD_MAX_BYTES)
const contextHash = fixed(CONTEXT_HASH_BYTES)
const mac = bytes(64)
const sealed = bytes(SEALED_SECRET_MAX_BYTES)
const newKeyOwner = { account: text(NAME_MAX), kid: fixed(KID_BYTES) }
const importTerms = { importId: fixed(IMPORT_ID_BYTES), notAfterMs: u64 }
const newKey = {
  ...newKeyOwner,
  keySpec: text(NAME_MAX),
  keyUsage: text(NAME_MAX),
}
/** What a signing key is good for. */
const scope = { date: text(8), region: text(NAME_MAX), service: text(NAME_MAX) }
const sealedSession = bytes(SEALED_SESSION_MAX_BYTES)
const sessionTerms = bytes(SESSION_TERMS_MAX_BYTES)
const owner = { accessKeyId: text(NAME_MAX), principalId: text(NAME_MAX), account: text(NAME_MAX) }
/** A stored record by what its MAC covers; the host adds the domain and the label. */
const row = {
  table: text(ROW_TABLE_MAX_BYTES),
  primaryKey: text(ROW_PRIMARY_KEY_MAX_BYTES),
  generation: u64,
  content: fixed(ROW_CONTENT_BYTES),
}

/** The end of an audit chain. */
const chainHead = { chain: fixed(CHAIN_ID_BYTES), seq: u64, head: fixed(CHAIN_HASH_BYTES) }

export const commands = {
  /** Generates an HBK and returns its EKT record; the host decides everything cryptographic about it. */
  createBackingKey: command(1, KEY_GENERATION_DEADLINE_MS, newKey, {
    record: bytes(EKT_RECORD_MAX_BYTES),
    mid: fixed(MID_BYTES),
    /** SubjectPublicKeyInfo of a key pair; empty for a secret key. */
    publicKey: bytes(PUBLIC_KEY_MAX_BYTES),
  }),
  /** Draws a data key and encrypts it. Without `plaintextWanted` the plaintext never leaves the host. */
  generateDataKey: command(
    2,
    HOT_DEADLINE_MS,
    { ekt: anyEkt, lengthBytes: u16, contextHash, plaintextWanted: flag },
    { blob: bytes(CIPHERTEXT_MAX_BYTES), plaintext: bytes(DATA_KEY_MAX_BYTES) },
  ),
  encrypt: command(
    3,
    HOT_DEADLINE_MS,
    { ekt: anyEkt, plaintext: bytes(PLAINTEXT_MAX_BYTES), contextHash },
    { blob: bytes(CIPHERTEXT_MAX_BYTES) },
  ),
  decrypt: command(
    4,
    HOT_DEADLINE_MS,
    { ekt: anyEkt, blob: bytes(CIPHERTEXT_MAX_BYTES), contextHash },
    { plaintext: bytes(CIPHERTEXT_MAX_BYTES) },
  ),
  /** Decrypts under one HBK and encrypts under another; the plaintext stays in the host. */
  reEncrypt: command(
    5,
    HOT_DEADLINE_MS,
    {
      source: anyEkt,
      blob: bytes(CIPHERTEXT_MAX_BYTES),
      sourceContextHash: contextHash,
      destination: anyEkt,
      destinationContextHash: contextHash,
    },
    { blob: bytes(CIPHERTEXT_MAX_BYTES) },
  ),
  generateRandom: command(6, HOT_DEADLINE_MS, { lengthBytes: u16 }, { random: bytes(DATA_KEY_MAX_BYTES) }),
  generateMac: command(7, HOT_DEADLINE_MS, { ekt: anyEkt, message: bytes(MAC_MESSAGE_MAX_BYTES) }, { mac }),
  /** Makes the secret of a new access key. It is returned once, to be shown, and sealed under the daemon's own HBK. */
  createAccessKeySecret: command(8, HOT_DEADLINE_MS, { ekt: anyEkt, ...owner }, { secret: bytes(64), sealed }),
  /** Opens a sealed secret and returns the SigV4 signing key of one day, region and service; never the secret. */
  openSigningKey: command(9, HOT_DEADLINE_MS, { ekt: anyEkt, sealed, ...owner, ...scope }, { signingKey: fixed(32) }),
  /** Lets go of an HBK whose key is gone: its handle is destroyed and its record must be sent and verified again. */
  evict: command(10, HOT_DEADLINE_MS, { digest: fixed(32) }, {}),
  /**
   * A known-answer command: proves that the session works and that the token holds this domain's keys. CPU time is that of the
   * process, `hbkImports` counts the EKTs that this lane has verified and taken into use since it opened its sessions.
   */
  status: command(
    11,
    HOT_DEADLINE_MS,
    {},
    { cachedHbks: u32, openSessions: u32, residentMemoryMb: u32, cpuMicroseconds: u64, hbkImports: u64 },
  ),
  /** Signs a digest, or a message where the algorithm hashes it itself. ECDSA comes as DER. */
  sign: command(
    40,
    ASYMMETRIC_DEADLINE_MS,
    { ekt: anyEkt, algorithm: text(NAME_MAX), bytes: bytes(MAC_MESSAGE_MAX_BYTES) },
    { signature: bytes(SIGNATURE_MAX_BYTES) },
  ),
  /** Verifies a signature of a digest with the public key that the EKT fixes. */
  verify: command(
    41,
    ASYMMETRIC_DEADLINE_MS,
    {
      ekt: anyEkt,
      publicKey: bytes(PUBLIC_KEY_MAX_BYTES),
      algorithm: text(NAME_MAX),
      bytes: bytes(MAC_MESSAGE_MAX_BYTES),
      signature: bytes(CIPHERTEXT_MAX_BYTES),
    },
    { valid: flag },
  ),
  /** Whether a public key is the one that the EKT's MAC covers: the store could hold another. */
  checkPublicKey: command(
    42,
    ASYMMETRIC_DEADLINE_MS,
    { ekt: anyEkt, publicKey: bytes(PUBLIC_KEY_MAX_BYTES) },
    { matches: flag },
  ),
  verifyMac: command(
    43,
    HOT_DEADLINE_MS,
    { ekt: anyEkt, message: bytes(MAC_MESSAGE_MAX_BYTES), mac: bytes(CIPHERTEXT_MAX_BYTES) },
    { valid: flag },
  ),
  /** RSAES-OAEP. Whatever is wrong with a ciphertext, the answer is one. */
  decryptRsa: command(
    44,
    ASYMMETRIC_DEADLINE_MS,
    { ekt: anyEkt, algorithm: text(NAME_MAX), ciphertext: bytes(CIPHERTEXT_MAX_BYTES) },
    { plaintext: bytes(PLAINTEXT_MAX_BYTES) },
  ),
  /** ECDH: the x-coordinate (SP 800-56A section 5.7.1.2). `peer` is a public key on the same curve. */
  deriveSharedSecret: command(
    45,
    ASYMMETRIC_DEADLINE_MS,
    { ekt: anyEkt, peer: bytes(CIPHERTEXT_MAX_BYTES * 2) },
    { secret: bytes(SHARED_SECRET_MAX_BYTES) },
  ),
  /** Generates a key pair for a caller: its private half as PKCS #8, in the clear if wanted, and sealed under the EKT. */
  generateDataKeyPair: command(
    46,
    KEY_GENERATION_DEADLINE_MS,
    { ekt: anyEkt, pairSpec: text(NAME_MAX), contextHash, plaintextWanted: flag },
    {
      publicKey: bytes(PUBLIC_KEY_MAX_BYTES),
      privateKey: bytes(PLAINTEXT_MAX_BYTES),
      blob: bytes(CIPHERTEXT_MAX_BYTES),
    },
  ),
  /** ReEncrypt where one side, or both, is RSA; the plaintext stays in the host. */
  reEncryptRsa: command(
    47,
    ASYMMETRIC_DEADLINE_MS,
    {
      source: anyEkt,
      sourceAlgorithm: text(NAME_MAX),
      blob: bytes(CIPHERTEXT_MAX_BYTES),
      sourceContextHash: contextHash,
      destination: anyEkt,
      destinationAlgorithm: text(NAME_MAX),
      /** Of an RSA destination; empty otherwise. */
      destinationPublicKey: bytes(PUBLIC_KEY_MAX_BYTES),
      destinationContextHash: contextHash,
    },
    { blob: bytes(CIPHERTEXT_MAX_BYTES) },
  ),
  /** ML-KEM (FIPS 203): the secret of a ciphertext, in the token. */
  decapsulate: command(
    48,
    ASYMMETRIC_DEADLINE_MS,
    { ekt: anyEkt, ciphertext: bytes(CIPHERTEXT_MAX_BYTES) },
    { secret: bytes(SHARED_SECRET_MAX_BYTES) },
  ),
  /**
   * Makes the RSA key that an import comes under (`keySpec`), and the MAC of its import token (formats/import-token.ts), until
   * `notAfterMs`.
   */
  createImportKey: command(
    50,
    KEY_GENERATION_DEADLINE_MS,
    { ...newKeyOwner, keySpec: text(NAME_MAX), algorithm: text(NAME_MAX), ...importTerms },
    { record: bytes(EKT_RECORD_MAX_BYTES), publicKey: bytes(PUBLIC_KEY_MAX_BYTES), mac: fixed(IMPORT_MAC_BYTES) },
  ),
  /**
   * Unwraps material with the wrapping key of an import, once its token has been verified, and makes an EKT of it. Bad
   * padding, length and bytes are one fault, `input`. It is asked once: each answer tells an attacker something.
   */
  importKeyMaterial: {
    ...command(
      51,
      ASYMMETRIC_DEADLINE_MS,
      {
        ekt: anyEkt,
        algorithm: text(NAME_MAX),
        ...importTerms,
        mac: fixed(IMPORT_MAC_BYTES),
        materialSpec: text(NAME_MAX),
        materialUsage: text(NAME_MAX),
        wrapped: bytes(CIPHERTEXT_MAX_BYTES),
        /** Under which it stays in the token, as createResidentKey says; empty for material that is wrapped. */
        ckaId: bytes(CKA_ID_BYTES),
      },
      {
        outcome: oneOf(IMPORT_OUTCOMES),
        record: bytes(EKT_RECORD_MAX_BYTES),
        mid: bytes(MID_BYTES),
        /** SubjectPublicKeyInfo of a private key, worked out in the token. */
        publicKey: bytes(PUBLIC_KEY_MAX_BYTES),
        /** Of a MAC key. */
        commitment: bytes(IMPORT_COMMITMENT_BYTES),
      },
    ),
    once: true,
  },
  /**
   * Generates an HBK that stays in the token under `ckaId`, which the store has written down before (security.md 4.2), and
   * returns its EKT record; `full` and no record when the token has no room.
   */
  createResidentKey: {
    ...command(
      20,
      KEY_GENERATION_DEADLINE_MS,
      { ...newKey, ckaId: fixed(CKA_ID_BYTES) },
      {
        ...{ full: flag, record: bytes(EKT_RECORD_MAX_BYTES), mid: bytes(MID_BYTES) },
        /** SubjectPublicKeyInfo of a key pair. */
        publicKey: bytes(PUBLIC_KEY_MAX_BYTES),
      },
    ),
    once: true,
  },
  /** Destroys the resident HBK of a record that verifies. For good, and safe to do twice. */
  destroyResidentKey: command(21, KEY_GENERATION_DEADLINE_MS, { ekt: anyEkt }, {}),
  /** CKA_IDs of the domain's HBKs that reside in the token, one after the other, in order and after `after`. */
  listResidentKeys: command(
    22,
    KEY_GENERATION_DEADLINE_MS,
    { after: bytes(CKA_ID_BYTES) },
    { ckaIds: bytes(RESIDENT_KEYS_PAGE * CKA_ID_BYTES) },
  ),
  /** Makes the secret of temporary credentials and seals it with the terms of their session: a token without its gate. */
  sealSession: command(
    32,
    HOT_DEADLINE_MS,
    { ekt: anyEkt, accessKeyId: text(NAME_MAX), terms: sessionTerms },
    { secret: bytes(64), sealed: sealedSession },
  ),
  /** Opens a sealed session of this access key: its terms, and a signing key in place of its secret. */
  openSession: command(
    33,
    HOT_DEADLINE_MS,
    { ekt: anyEkt, sealed: sealedSession, accessKeyId: text(NAME_MAX), ...scope },
    { signingKey: fixed(32), terms: sessionTerms },
  ),
  /** MACs of stored records under the newest domain MAC key, one after the other, and its version. */
  macRows: command(
    60,
    HOT_DEADLINE_MS,
    { rows: list(ROWS_MAX, row) },
    { macVersion: u32, macs: bytes(ROWS_MAX * ROW_MAC_BYTES) },
  ),
  /** Verifies MACs of stored records: a byte for each of them, 1 when the token accepts it. */
  verifyRows: command(
    61,
    HOT_DEADLINE_MS,
    { rows: list(ROWS_MAX, { ...row, macVersion: u32, mac: fixed(ROW_MAC_BYTES) }) },
    { verdicts: bytes(ROWS_MAX) },
  ),
  /** What this token remembers of the key store (formats/row-ledger.ts); epoch 0 when it remembers nothing. */
  readAnchor: command(62, HOT_DEADLINE_MS, {}, { epoch: u64, digest: fixed(LEDGER_DIGEST_BYTES) }),
  /**
   * Has this token remember how far the key store has come. It never goes back: false when it remembers a later epoch, or when
   * it keeps no data objects.
   */
  writeAnchor: command(
    63,
    KEY_GENERATION_DEADLINE_MS,
    { epoch: u64, digest: fixed(LEDGER_DIGEST_BYTES) },
    { written: flag },
  ),
  /**
   * Signs a checkpoint of the audit log (formats/audit-checkpoint.ts) with the token's audit key. The host refuses, by a fault
   * `input`, a second head for one number of a chain, and one that goes backwards.
   */
  signCheckpoint: command(
    70,
    HOT_DEADLINE_MS,
    {
      ...chainHead,
      timeMs: u64,
      previous: fixed(CHAIN_HASH_BYTES),
      epoch: u64,
      anchor: fixed(ANCHOR_BYTES),
      others: list(OTHER_HEADS_MAX, chainHead),
    },
    { body: bytes(CHECKPOINT_MAX_BYTES), signature: bytes(CHECKPOINT_SIGNATURE_MAX_BYTES) },
  ),
} as const satisfies Record<string, Command<Layout, Layout>>

export type CommandName = keyof typeof commands
export type Args<C extends CommandName> = Values<(typeof commands)[C]['args']>
export type Result<C extends CommandName> = Values<(typeof commands)[C]['result']>

/** How long a host may work on a command before it counts as mute, in milliseconds. */
export function deadlineMs(name: CommandName, args: Args<CommandName>): number {
  const { keySpec, pairSpec } = args as { keySpec?: string; pairSpec?: string }
  return (keySpec ?? pairSpec)?.startsWith('RSA_') === true ? RSA_GENERATION_DEADLINE_MS : commands[name].deadlineMs
}

export const COMMAND_NAMES = Object.keys(commands) as CommandName[]
const byCode = new Map<number, CommandName>(COMMAND_NAMES.map(name => [commands[name].code, name]))

export function commandByCode(code: number): CommandName | undefined {
  return byCode.get(code)
}
