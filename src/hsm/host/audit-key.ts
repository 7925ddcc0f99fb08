/**
 * The token's own audit key, which signs checkpoints of the audit log and nothing else. What has been signed is remembered for
 * as long as the lane lives: of one chain and number one hash, and nothing that goes backwards (security.md 2.8).
 */
import { createPublicKey, hash, randomBytes } from 'node:crypto'
import { joseToDer } from 'ecdsa-sig-formatter'
import pkcs11 from 'pkcs11js'
import type { ChainHead } from '../../formats/audit-chain.ts'
import { auditKeyId, type CheckpointClaims, LANE_ID_BYTES, writeCheckpoint } from '../../formats/audit-checkpoint.ts'
import { type CommandName, commands } from '../contract/commands.ts'
import { HsmFault } from '../contract/fault.ts'
import { attributes, findObjects, type ObjectHandle, type SessionHandle } from './cryptoki.ts'
import { AUDIT, labelOf } from './domain-keys.ts'
import type { Sessions } from './sessions.ts'
import type { Token } from './token.ts'

const EC_POINT_BYTES = 65
const SIGNATURE_BYTES = 64
/** Chains whose last signed head is remembered: each daemon start begins one. */
const CHAINS_MAX = 64

/** What a lane remembers of its own work; sessions may come and go meanwhile. */
export class LaneHistory {
  readonly id = randomBytes(LANE_ID_BYTES)
  commands = 0
  /** Commands that used an HBK. */
  uses = 0
  readonly #signed = new Map<string, ChainHead & { readonly timeMs: number }>()

  count(name: CommandName): void {
    this.commands += 1
    if (USES_HBK.has(name)) this.uses += 1
  }

  /** Throws HsmFault `input` when a head contradicts one that was signed before. */
  requireForward(head: ChainHead, timeMs: number): void {
    const last = this.#signed.get(head.chain)
    if (last === undefined) return
    if (head.seq < last.seq || timeMs < last.timeMs) throw new HsmFault('input', 'the audit chain goes backwards')
    if (head.seq === last.seq && head.hash !== last.hash) throw new HsmFault('input', 'the audit chain has forked')
  }

  signed(head: ChainHead, timeMs: number): void {
    this.#signed.delete(head.chain)
    this.#signed.set(head.chain, { ...head, timeMs })
    const [oldest] = this.#signed.keys()
    if (this.#signed.size > CHAINS_MAX && oldest !== undefined) this.#signed.delete(oldest)
  }
}

/** Commands that name an EKT; the daemon's own HBKs count too. */
const USES_HBK: ReadonlySet<CommandName> = new Set(
  (Object.keys(commands) as CommandName[]).filter(
    name => 'ekt' in commands[name].args || 'source' in commands[name].args,
  ),
)

interface KeyPair {
  readonly privateKey: ObjectHandle
  readonly keyId: Buffer
}

export class AuditKey {
  readonly #token: Token
  readonly #sessions: Sessions
  readonly #domainId: Buffer
  readonly #history: LaneHistory
  #pair: KeyPair | undefined

  constructor(parts: { token: Token; sessions: Sessions; domainId: Buffer; history: LaneHistory }) {
    this.#token = parts.token
    this.#sessions = parts.sessions
    this.#domainId = parts.domainId
    this.#history = parts.history
  }

  /** Lays a checkpoint out and signs it. Throws HsmFault `input` for a head that contradicts one signed before. */
  sign(claims: CheckpointClaims): { body: Buffer; signature: Buffer } {
    const history = this.#history
    history.requireForward(claims.head, claims.timeMs)
    return this.#sessions.withSession(session => {
      this.#pair ??= this.#find(session)
      const { privateKey, keyId } = this.#pair
      const { id: lane, commands, uses } = history
      const body = writeCheckpoint({ ...claims, domainId: this.#domainId, lane, commands, uses, auditKey: keyId })
      const { cryptoki } = this.#token
      cryptoki.C_SignInit(session, { mechanism: pkcs11.CKM_ECDSA }, privateKey)
      const raw = cryptoki.C_Sign(session, hash('sha256', body, 'buffer'), Buffer.alloc(SIGNATURE_BYTES))
      history.signed(claims.head, claims.timeMs)
      return { body, signature: joseToDer(raw, 'ES256') }
    })
  }

  /** The pair belongs to no version of the domain's keys: what tells it is the domain id that its CKA_ID begins with. */
  #find(session: SessionHandle): KeyPair {
    const { cryptoki } = this.#token
    const find = (objectClass: number): ObjectHandle => {
      const template = attributes({ CLASS: objectClass, LABEL: labelOf(AUDIT) })
      const [found, ...others] = findObjects(cryptoki, session, template).filter(handle => {
        const [id] = cryptoki.C_GetAttributeValue(session, handle, [{ type: pkcs11.CKA_ID }])
        return Buffer.from(id?.value as Buffer)
          .subarray(0, this.#domainId.length)
          .equals(this.#domainId)
      })
      if (found === undefined || others.length > 0)
        throw new HsmFault('key', `the token holds no one ${labelOf(AUDIT)}`)
      return found
    }
    const publicKey = find(pkcs11.CKO_PUBLIC_KEY)
    const [point] = cryptoki.C_GetAttributeValue(session, publicKey, [{ type: pkcs11.CKA_EC_POINT }])
    const spki = spkiOfP256(uncompressed(point?.value as Buffer))
    return { privateKey: find(pkcs11.CKO_PRIVATE_KEY), keyId: auditKeyId(spki) }
  }
}

/** PKCS#11 wraps a point in a DER OCTET STRING; some tokens do not. */
export function uncompressed(point: Uint8Array): Buffer {
  return Buffer.from(point).subarray(-EC_POINT_BYTES)
}

/** SubjectPublicKeyInfo, DER, of an uncompressed point on P-256. */
export function spkiOfP256(point: Buffer): Buffer {
  const coordinate = (start: number) => point.subarray(start, start + 32).toString('base64url')
  const key = { kty: 'EC', crv: 'P-256', x: coordinate(1), y: coordinate(33) }
  return createPublicKey({ key, format: 'jwk' }).export({ type: 'spki', format: 'der' })
}
