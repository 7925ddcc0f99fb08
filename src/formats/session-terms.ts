/**
 * The terms of a session, which its token carries sealed (session-token.ts):
 *
 * ```
 * lp(principal id of the role) u64 issued u64 expires (milliseconds) lp(session name) lp(source identity, or empty)
 * u8 0 | 1 lp(session policy)    u8 n, n times lp(name of a managed policy of the role's account)
 * u8 n, n times u8 transitive lp(tag key) lp(tag value)
 * ```
 */
import { ByteReader, ByteWriter, MalformedBytes } from '../base/bytes.ts'
import { SESSION_TERMS_MAX_BYTES } from './session-token.ts'

export interface SessionTag {
  readonly value: string
  /** Goes along when the session assumes another role. */
  readonly transitive: boolean
}

export interface SessionTerms {
  /** Of the role: immutable, so that another role of the same name is not meant. */
  readonly principalId: string
  readonly issuedAtMs: number
  readonly expiresAtMs: number
  readonly sessionName: string
  readonly sourceIdentity: string | undefined
  /** JSON text of the inline session policy. */
  readonly policy: string | undefined
  /** Names of managed policies that limit the session too. */
  readonly managedPolicies: readonly string[]
  readonly tags: ReadonlyMap<string, SessionTag>
}

/** May be longer than a token can carry: compare with SESSION_TERMS_MAX_BYTES. */
export function encodeSessionTerms(terms: SessionTerms): Buffer {
  const { principalId, issuedAtMs, expiresAtMs, sessionName, sourceIdentity, policy, managedPolicies, tags } = terms
  const writer = new ByteWriter().lp(principalId).u64(issuedAtMs).u64(expiresAtMs).lp(sessionName)
  writer.lp(sourceIdentity ?? '')
  if (policy === undefined) writer.u8(0)
  else writer.u8(1).lp(policy)
  writer.u8(managedPolicies.length)
  for (const name of managedPolicies) writer.lp(name)
  writer.u8(tags.size)
  for (const [key, { value, transitive }] of tags) {
    writer
      .u8(transitive ? 1 : 0)
      .lp(key)
      .lp(value)
  }
  return writer.finish()
}

/** Throws {@link MalformedBytes}. */
export function decodeSessionTerms(bytes: Buffer): SessionTerms {
  if (bytes.length > SESSION_TERMS_MAX_BYTES) throw new MalformedBytes('terms too long')
  const reader = new ByteReader(bytes)
  const principalId = reader.text()
  const issuedAtMs = reader.u64()
  const expiresAtMs = reader.u64()
  const sessionName = reader.text()
  const sourceIdentity = reader.text()
  const policy = reader.flag() ? reader.text() : undefined
  const managedPolicies = Array.from({ length: reader.u8() }, () => reader.text())
  const tags = new Map<string, SessionTag>()
  for (let left = reader.u8(); left > 0; left--) {
    const transitive = reader.flag()
    tags.set(reader.text(), { value: reader.text(), transitive })
  }
  reader.end()
  return {
    ...{ principalId, issuedAtMs, expiresAtMs, sessionName, sourceIdentity: sourceIdentity || undefined },
    ...{ policy, managedPolicies, tags },
  }
}
