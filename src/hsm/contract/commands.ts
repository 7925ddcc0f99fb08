/**
 * == The border == everything the service may ask of an HSM. Plain values and bytes only: no handle, session, slot or
 * mechanism crosses it, and nothing a command claims is trusted in the crypto world beyond what a verified EKT says.
 * A command without its handler in host/commands does not compile.
 */
import { CONTEXT_HASH_BYTES } from '../../formats/aad.ts'
import { EKT_RECORD_MAX_BYTES } from '../../formats/ekt.ts'
import { SEALED_SECRET_MAX_BYTES } from '../../formats/sealed-secret.ts'
import { SEALED_SESSION_MAX_BYTES, SESSION_TERMS_MAX_BYTES } from '../../formats/session-token.ts'
import { KID_BYTES } from '../../model/key-id.ts'
import { bytes, ekt, fixed, flag, type Layout, text, u16, u32, type Values } from './fields.ts'

export const PLAINTEXT_MAX_BYTES = 4_096
export const CIPHERTEXT_MAX_BYTES = 6_144
export const DATA_KEY_MAX_BYTES = 1_024
export const MAC_MESSAGE_MAX_BYTES = 4_096

interface Command<A extends Layout, R extends Layout> {
  /** The number on the wire; never reused. */
  readonly code: number
  /** After this long without an answer the token counts as mute and its host is killed. */
  readonly deadlineMs: number
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
  args,
  result,
})

const HOT_DEADLINE_MS = 3_000
const KEY_GENERATION_DEADLINE_MS = 30_000

const NAME_MAX = 64
const anyEkt = ekt(EKT_RECORD_MAX_BYTES)
const contextHash = fixed(CONTEXT_HASH_BYTES)
const mac = bytes(64)
const sealed = bytes(SEALED_SECRET_MAX_BYTES)
/** What a signing key is good for. */
const scope = { date: text(8), region: text(NAME_MAX), service: text(NAME_MAX) }
const sealedSession = bytes(SEALED_SESSION_MAX_BYTES)
const sessionTerms = bytes(SESSION_TERMS_MAX_BYTES)
const owner = { accessKeyId: text(NAME_MAX), principalId: text(NAME_MAX), account: text(NAME_MAX) }

export const commands = {
  /** Generates an HBK and returns its EKT record; the host decides everything cryptographic about it. */
  createBackingKey: command(
    1,
    KEY_GENERATION_DEADLINE_MS,
    {
      account: text(NAME_MAX),
      kid: fixed(KID_BYTES),
      keySpec: text(NAME_MAX),
      keyUsage: text(NAME_MAX),
    },
    { record: bytes(EKT_RECORD_MAX_BYTES), mid: fixed(32) },
  ),
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
  /** A known-answer command: proves that the session works and that the token holds this domain's keys. */
  status: command(11, HOT_DEADLINE_MS, {}, { cachedHbks: u32, openSessions: u32, residentMemoryMb: u32 }),
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
} as const satisfies Record<string, Command<Layout, Layout>>

export type CommandName = keyof typeof commands
export type Args<C extends CommandName> = Values<(typeof commands)[C]['args']>
export type Result<C extends CommandName> = Values<(typeof commands)[C]['result']>

export const COMMAND_NAMES = Object.keys(commands) as CommandName[]
const byCode = new Map<number, CommandName>(COMMAND_NAMES.map(name => [commands[name].code, name]))

export function commandByCode(code: number): CommandName | undefined {
  return byCode.get(code)
}
