/**
 * The other border: what a ceremony may ask of a token. Only a ceremony process serves these commands; a host of the
 * daemon does not know them. Each is a JSON frame; bytes travel as base64.
 */
import { z } from 'zod'
import { ByteReader, ByteWriter } from '../../base/bytes.ts'
import { DOMAIN_ID_BYTES, EKT_RECORD_MAX_BYTES } from '../../formats/ekt.ts'
import { FAULT_KINDS, HsmFault } from './fault.ts'
import { domainDescription, keyVersion, tokenLocation } from './host-configuration.ts'
import { tokenInspection } from './token-inspection.ts'
import { OAEP_HASHES, schemes, tokenIdentity, tokenProfile } from './token-profile.ts'

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
const base64 = z.string().max(8_192)
const ektRecord = z.string().max(Math.ceil(EKT_RECORD_MAX_BYTES / 3) * 4)

/** Records of one `rewrapEkts`, in bytes: so that the answer, in base64, keeps within a frame. */
export const REWRAP_BATCH_BYTES = 36_864

/** Where a PIN is read from: a file, which the ceremony process reads itself, or what an operator typed. */
export const pinSource = z.union([z.strictObject({ file: z.string() }), z.strictObject({ typed: z.string().max(255) })])
export type PinSource = z.infer<typeof pinSource>

const keyFork = keyVersion.omit({ checkValue: true })

/** Versions of a domain's keys, without what only a token can say of them. No domain key: its HBKs reside in tokens. */
const forks = z.strictObject({
  domainId: hex(DOMAIN_ID_BYTES),
  schemes,
  /** Whether a token that holds the domain has an audit key of its own beside it. */
  audited: z.boolean(),
  domainKeys: z.array(keyFork),
  macKeys: z.array(keyFork),
})
export type DomainForks = z.infer<typeof forks>

/** One version as a token holds it. */
const keyInToken = keyFork.extend({
  /** The object that wraps, or signs; the barrier of a rotation destroys it. */
  makes: z.boolean(),
  /** The object that unwraps, or verifies. */
  uses: z.boolean(),
  /** Read with the object that makes; null without one. */
  checkValue: hex(8).nullable(),
})
export type KeyInToken = z.infer<typeof keyInToken>

/** What a token says of the versions it was asked about, each of them, held or not. */
const domainInToken = z.strictObject({
  domainKeys: z.array(keyInToken),
  macKeys: z.array(keyInToken),
  /** SubjectPublicKeyInfo, DER: this token's own audit key; null when it has none. */
  auditPublicKey: base64.nullable(),
  /** Whether the token refused every forbidden use that was tried on its keys (security.md 3); null when it has none to try. */
  sealed: z.boolean().nullable(),
})
export type DomainInToken = z.infer<typeof domainInToken>

/** The public half of a one-shot transfer key. */
const transferKey = z.strictObject({
  modulus: base64,
  exponent: base64,
  /** SHA-256 of modulus and exponent, for two people to compare. */
  fingerprint: hex(32),
  /** The OAEP hashes with which the token that made it can unwrap, best first. */
  oaepHashes: z.array(z.enum(OAEP_HASHES)).min(1),
})
export type TransferKey = z.infer<typeof transferKey>

const transfer = z.strictObject({
  oaepHash: z.enum(OAEP_HASHES),
  domainKeys: z.array(base64),
  macKeys: z.array(base64),
})
export type Transfer = z.infer<typeof transfer>

const command = <A extends z.ZodType, R extends z.ZodType>(args: A, result: R) => ({ args, result })
const nothing = z.strictObject({})

export const ceremonyCommands = {
  /** Initialises a free slot of the module under the URI's token label; a token of that label is left as it is. */
  initialiseToken: command(
    z.strictObject({ location: tokenLocation, officerPin: pinSource }),
    tokenIdentity.extend({ initialised: z.boolean() }),
  ),
  /** Opens the token and logs the user in; every command below wants it. */
  open: command(z.strictObject({ location: tokenLocation }), tokenProfile),
  /** What the token says of itself and what self-tests say of it; wants no other command before it. */
  inspect: command(z.strictObject({ location: tokenLocation }), tokenInspection),
  /** Generates versions of a domain's keys as sealed token objects, and the token's audit key when it has none. */
  createDomain: command(forks, domainInToken),
  /** Which of these versions the token holds, with their check values. */
  describeDomain: command(forks, domainInToken),
  /** Makes a one-shot RSA pair as session objects of this process. */
  beginTransfer: command(nothing, transferKey),
  /** The fingerprint of a transfer key as this side works it out, for people to compare with the other side's. */
  fingerprintTransferKey: command(transferKey, z.strictObject({ fingerprint: hex(32) })),
  /** Logs the SO in and out again: that the PIN is right, before anything depends on it. Removes forgotten transfer keys. */
  proveOfficer: command(z.strictObject({ officerPin: pinSource }), nothing),
  /**
   * Wraps the domain's keys under a transfer key that the SO marks trusted for the moment. A token that does not enforce
   * trust needs no SO: its user marks the key.
   */
  exportDomain: command(z.strictObject({ domain: forks, transferKey, officerPin: pinSource.optional() }), transfer),
  /**
   * Unwraps a transfer into sealed token objects and forgets the transfer key. Of versions below `makes` only the objects that
   * use are made; their check values are read on the way.
   */
  importDomain: command(z.strictObject({ domain: forks, makes: z.int().positive(), transfer }), domainInToken),
  /** Destroys the objects of versions: those that make, or all. The audit key stays. */
  destroyVersions: command(
    z.strictObject({ domain: forks, objects: z.enum(['makes', 'all']) }),
    z.strictObject({ destroyed: z.int() }),
  ),
  /**
   * Unwraps the old domain key into a re-wrap twin, a session object of this process, and proves that the token holds the new
   * version (security.md 3). `domain` describes the old version and the new one.
   */
  beginRewrap: command(z.strictObject({ domain: domainDescription, transfer }), nothing),
  /** Re-wraps EKT records under the newest version, in the token. Of each the new record, or why it was refused. */
  rewrapEkts: command(
    z.strictObject({ records: z.array(ektRecord).max(1_000) }),
    z.strictObject({
      records: z.array(z.union([z.strictObject({ record: ektRecord }), z.strictObject({ refused: z.string() })])),
    }),
  ),
  /** Destroys what an interrupted ceremony left of a domain that was never put to use. */
  discardDomain: command(z.strictObject({ domainId: hex(DOMAIN_ID_BYTES) }), z.strictObject({ destroyed: z.int() })),
} as const

export type CeremonyName = keyof typeof ceremonyCommands
export type CeremonyArgs<C extends CeremonyName> = z.infer<(typeof ceremonyCommands)[C]['args']>
export type CeremonyResult<C extends CeremonyName> = z.infer<(typeof ceremonyCommands)[C]['result']>

const request = z.strictObject({ name: z.enum(Object.keys(ceremonyCommands) as [CeremonyName]), args: z.unknown() })
const answer = z.union([
  z.strictObject({ result: z.unknown() }),
  z.strictObject({ fault: z.strictObject({ kind: z.enum(FAULT_KINDS), reason: z.string() }) }),
])

export function writeCeremonyRequest<C extends CeremonyName>(name: C, args: CeremonyArgs<C>): Buffer {
  return jsonFrame({ name, args })
}

export function readCeremonyRequest(frame: Buffer): { name: CeremonyName; args: unknown } {
  const { name, args } = request.parse(readJson(frame))
  return { name, args: ceremonyCommands[name].args.parse(args) }
}

export function writeCeremonyAnswer(answer: { result: unknown } | { fault: HsmFault }): Buffer {
  if ('result' in answer) return jsonFrame({ result: answer.result })
  const { kind, reason } = answer.fault
  return jsonFrame({ fault: { kind, reason } })
}

/** Throws the HsmFault that the ceremony process answered with. */
export function readCeremonyAnswer<C extends CeremonyName>(name: C, frame: Buffer): CeremonyResult<C> {
  const parsed = answer.parse(readJson(frame))
  if ('fault' in parsed) throw new HsmFault(parsed.fault.kind, parsed.fault.reason)
  return ceremonyCommands[name].result.parse(parsed.result) as CeremonyResult<C>
}

function jsonFrame(value: unknown): Buffer {
  return new ByteWriter().lp32(Buffer.from(JSON.stringify(value), 'utf8')).finish()
}

function readJson(frame: Buffer): unknown {
  const reader = new ByteReader(frame)
  return JSON.parse(reader.raw(reader.remaining).toString('utf8'))
}
