/** Session tokens: frozen bytes, the gate, and what is refused. Recomputed with node:crypto where bytes are sealed. */
import { createCipheriv, createDecipheriv, createHmac, randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { MalformedBytes } from '../../../src/base/bytes.ts'
import { cbcDerivationData, counterFixedInput } from '../../../src/formats/derivation.ts'
import { decodeSessionTerms, encodeSessionTerms, type SessionTerms } from '../../../src/formats/session-terms.ts'
import {
  decodeSealedSession,
  decodeSessionPayload,
  encodeSealedSession,
  encodeSessionPayload,
  encodeSessionToken,
  SEALED_SESSION_MAX_BYTES,
  SESSION_TERMS_MAX_BYTES,
  SESSION_TOKEN_MAX_CHARACTERS,
  sealedSessionOf,
  sessionAad,
} from '../../../src/formats/session-token.ts'

interface Vector {
  readonly suite: 1 | 2
  readonly kid: string
  readonly hbk: string
  readonly mid: string
  readonly nonce: string
  readonly iv: string
  readonly gateKey: string
  readonly accessKeyId: string
  readonly secret: string
  readonly terms: {
    readonly principalId: string
    readonly issuedAtMs: number
    readonly expiresAtMs: number
    readonly sessionName: string
    readonly sourceIdentity: string | null
    readonly policy: string | null
    readonly managedPolicies: readonly string[]
    readonly tags: readonly (readonly [key: string, value: string, transitive: boolean])[]
  }
  readonly termsBytes: string
  readonly dek: string
  readonly aad: string
  readonly sealed: string
  readonly token: string
}

const { vectors } = JSON.parse(readFileSync(new URL('../../vectors/session-token.json', import.meta.url), 'utf8')) as {
  vectors: readonly Vector[]
}
const hex = (text: string) => Buffer.from(text, 'hex')

function termsOf({ terms }: Vector): SessionTerms {
  const { sourceIdentity, policy, tags, ...others } = terms
  return {
    ...others,
    sourceIdentity: sourceIdentity ?? undefined,
    policy: policy ?? undefined,
    tags: new Map(tags.map(([key, value, transitive]) => [key, { value, transitive }])),
  }
}

function dekOf({ suite, hbk, nonce, kid, mid }: Vector): Buffer {
  if (suite === 1) {
    const cipher = createCipheriv('aes-256-cbc', hex(hbk), Buffer.alloc(16)).setAutoPadding(false)
    return Buffer.concat([cipher.update(cbcDerivationData('session', hex(nonce))), cipher.final()])
  }
  const input = counterFixedInput('session', hex(nonce), hex(kid), hex(mid))
  return createHmac('sha256', hex(hbk))
    .update(Buffer.of(0, 0, 0, 1))
    .update(input)
    .digest()
}

describe.each(vectors)('the frozen token of suite $suite and $terms.tags', vector => {
  const { accessKeyId, secret, aad, gateKey, token } = vector

  it('opens to what was sealed', () => {
    const sealed = sealedSessionOf(token, hex(gateKey))
    expect(sealed?.toString('hex')).toBe(vector.sealed)
    const { mid, nonce, iv, sealed: body } = decodeSealedSession(sealed!)
    expect(sessionAad({ mid, nonce }).toString('hex')).toBe(aad)
    const dek = dekOf(vector)
    expect(dek.toString('hex')).toBe(vector.dek)
    const decipher = createDecipheriv('aes-256-gcm', dek, iv).setAAD(hex(aad)).setAuthTag(body.subarray(-16))
    const payload = decodeSessionPayload(Buffer.concat([decipher.update(body.subarray(0, -16)), decipher.final()]))
    expect({ ...payload, secret: payload.secret.toString() }).toEqual({
      ...{ accessKeyId, secret, terms: hex(vector.termsBytes) },
    })
    expect(decodeSessionTerms(payload.terms)).toEqual(termsOf(vector))
  })

  it('is what is written', () => {
    const terms = encodeSessionTerms(termsOf(vector))
    expect(terms.toString('hex')).toBe(vector.termsBytes)
    const payload = encodeSessionPayload({ accessKeyId, secret: Buffer.from(secret), terms })
    const cipher = createCipheriv('aes-256-gcm', hex(vector.dek), hex(vector.iv)).setAAD(hex(aad))
    const body = Buffer.concat([cipher.update(payload), cipher.final(), cipher.getAuthTag()])
    const [mid, nonce, iv] = [hex(vector.mid), hex(vector.nonce), hex(vector.iv)]
    const sealed = encodeSealedSession({ mid, nonce, iv, sealed: body })
    expect(encodeSessionToken(sealed, hex(gateKey))).toBe(token)
  })
})

describe('the gate', () => {
  const [first] = vectors
  const { token, gateKey } = first!

  it('lets no other byte, length or spelling in (19)', () => {
    const bytes = Buffer.from(token, 'base64url')
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at]! ^= 1 << (at % 8)
      expect(sealedSessionOf(changed.toString('base64url'), hex(gateKey))).toBeUndefined()
    }
    const others = [token.slice(0, -1), `${token}A`, `${token}=`, `${token} `, bytes.toString('base64'), '']
    for (const other of others.filter(each => each !== token))
      expect(sealedSessionOf(other, hex(gateKey))).toBeUndefined()
    expect(sealedSessionOf(token, randomBytes(32))).toBeUndefined()
  })

  it('reads nothing that is longer than any token', () => {
    expect(sealedSessionOf('A'.repeat(SESSION_TOKEN_MAX_CHARACTERS + 1), hex(gateKey))).toBeUndefined()
    const longest = encodeSessionToken(Buffer.alloc(SEALED_SESSION_MAX_BYTES, 1), hex(gateKey))
    expect(longest.length).toBeLessThanOrEqual(SESSION_TOKEN_MAX_CHARACTERS)
    expect(sealedSessionOf(longest, hex(gateKey))).toHaveLength(SEALED_SESSION_MAX_BYTES)
  })

  it('lets no text in that it has not let out', () => {
    fc.assert(fc.property(fc.base64String(), text => expect(sealedSessionOf(text, hex(gateKey))).toBeUndefined()))
  })
})

describe('terms', () => {
  it('are refused when they are cut, lengthened, or longer than a token can carry', () => {
    const bytes = hex(vectors[1]!.termsBytes)
    for (let length = 0; length < bytes.length; length++)
      expect(() => decodeSessionTerms(bytes.subarray(0, length))).toThrow(MalformedBytes)
    expect(() => decodeSessionTerms(Buffer.concat([bytes, Buffer.of(0)]))).toThrow(MalformedBytes)
    expect(() => decodeSessionTerms(Buffer.alloc(SESSION_TERMS_MAX_BYTES + 1))).toThrow(MalformedBytes)
  })
})

describe('a sealed session', () => {
  it('is refused in another format, or cut', () => {
    const sealed = hex(vectors[0]!.sealed)
    expect(() => decodeSealedSession(Buffer.concat([Buffer.of(2), sealed.subarray(1)]))).toThrow(MalformedBytes)
    for (const length of [0, 1, 60, 77])
      expect(() => decodeSealedSession(sealed.subarray(0, length))).toThrow(MalformedBytes)
  })
})
