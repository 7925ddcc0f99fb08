/** Who a request is taken to be from, by access key and by session, with what is stored handed in. */
import { describe, expect, it } from '@jest/globals'
import { Authenticator } from '../../../src/api/authenticate.ts'
import type { IncomingRequest } from '../../../src/api/sigv4/verify.ts'
import type { Session } from '../../../src/keyring/sessions.ts'
import type { AccessKey, Identity, Principal } from '../../../src/model/identity.ts'
import { makeIdentity, makeManagedPolicy } from '../store/records.ts'
import { ACCESS_KEY_ID, HEADERS, SERVED, SIGNED_AT_MS, SIGNED_HEADERS, SIGNING_KEY, signed } from './sigv4/requests.ts'

const TOKEN = 'token'
const HOUR_MS = 3_600_000

interface World {
  readonly identity?: Partial<Identity>
  readonly policies?: Principal['policies']
  readonly session?: Partial<Session>
  readonly nowMs?: number
  readonly gone?: boolean
  /** Whether memory holds nothing: then the store and the crypto world are waited for. */
  readonly cold?: boolean
}

/** An authenticator for which one access key, one identity and one session exist. */
function world({ identity = {}, policies = [], session = {}, gone = false, cold = false, ...world }: World = {}) {
  const { nowMs = SIGNED_AT_MS } = world
  const held = <T>(value: T) => (cold ? Promise.resolve(value) : value)
  const principal: Principal = { identity: makeIdentity('alice', identity), policies, boundary: undefined }
  const { principalId } = principal.identity
  const accessKey: AccessKey = {
    ...{ id: ACCESS_KEY_ID, principalId, active: true, sealedSecret: Buffer.alloc(1), createdAtMs: 0 },
  }
  const opened: Session = {
    ...{ accessKeyId: ACCESS_KEY_ID, principalId, issuedAtMs: SIGNED_AT_MS - HOUR_MS, expiresAtMs: SIGNED_AT_MS + 1 },
    ...{ sessionName: 'first', sourceIdentity: undefined, policy: undefined, managedPolicies: [], tags: new Map() },
    ...session,
  }
  const uses: unknown[] = []
  const limits = makeManagedPolicy('Ceiling')
  const authenticator = new Authenticator({
    hot: {
      accessKey: () => held(accessKey),
      principal: (id: string) => held(id === principalId && !gone ? principal : undefined),
      managedPolicy: (_: string, name: string) => (name === 'Ceiling' ? limits : undefined),
    },
    secrets: { signingKey: () => held(SIGNING_KEY) },
    sessions: {
      open: (token: string) => held(token === TOKEN ? { session: opened, signingKey: SIGNING_KEY } : undefined),
    },
    accessKeyUses: { note: (...use: unknown[]) => uses.push(use) },
    served: SERVED,
    clock: () => nowMs,
  } as never)
  // Rejects with what is thrown at once, too.
  const authenticate = async (request: IncomingRequest) => authenticator.authenticate(request)
  return { authenticate, principal, uses, limits }
}

const withToken = (token = TOKEN) =>
  signed({
    headers: [...HEADERS, 'X-Amz-Security-Token', token],
    signedHeaders: [...SIGNED_HEADERS, 'x-amz-security-token'].sort(),
  })

const role = {
  kind: 'role',
  role: { trustPolicy: '{}', trustPrincipals: new Map(), sessionSecondsMax: 3_600, revokedBeforeMs: 0 },
} as const
const INVALID = { code: 'UnrecognizedClientException' }

describe.each([false, true])('an access key, waited for: %s', cold => {
  it('makes the caller of its identity, once, and its use is noted', async () => {
    const { authenticate, principal, uses } = world({ cold, policies: [{ name: 'p', document: '{}' }] })
    const { caller, region, accessKeyId } = await authenticate(signed())
    const { arn, account, principalId, tags } = principal.identity
    expect(caller).toEqual({
      ...{ kind: 'user', arn, account, userId: principalId, principalArn: arn, userName: 'alice', tags },
      policies: principal.policies,
    })
    expect({ region, accessKeyId }).toEqual({ region: 'on-prem-1', accessKeyId: ACCESS_KEY_ID })
    expect((await authenticate(signed())).caller).toBe(caller)
    expect(uses).toEqual(Array(2).fill([ACCESS_KEY_ID, SIGNED_AT_MS, 'on-prem-1', 'kms']))
  })

  it('is nobody without its identity, and its use is not noted when the signature is wrong', async () => {
    await expect(world({ cold, gone: true }).authenticate(signed())).rejects.toMatchObject(INVALID)
    const { authenticate, uses } = world({ cold })
    const changed = { ...signed(), body: Buffer.from('{}') }
    await expect(authenticate(changed)).rejects.toMatchObject({ code: 'InvalidSignatureException' })
    expect(uses).toEqual([])
  })
})

describe('a session', () => {
  it('makes a caller of its role, with its own name, tags and limits', async () => {
    const tags = new Map([['team', { value: 'night', transitive: true }]])
    const { authenticate, principal, limits } = world({
      identity: {
        ...role,
        tags: new Map([
          ['team', 'day'],
          ['site', 'on-prem'],
        ]),
      },
      session: { policy: '{"own":1}', managedPolicies: ['Ceiling', 'Gone'], tags, sourceIdentity: 'bob' },
    })
    const { caller } = await authenticate(withToken())
    const { account, arn, principalId } = principal.identity
    expect(caller).toEqual({
      ...{ kind: 'assumed-role', account, arn: `arn:aws:sts::${account}:assumed-role/alice/first`, principalArn: arn },
      ...{ userId: `${principalId}:first`, sessionName: 'first', sourceIdentity: 'bob', policies: [] },
      tokenIssuedAtMs: SIGNED_AT_MS - HOUR_MS,
      tags: new Map([
        ['team', 'night'],
        ['site', 'on-prem'],
      ]),
      transitiveTagKeys: ['team'],
      sessionPolicies: [
        { name: 'the session policy', document: '{"own":1}' },
        { name: limits.arn, document: '{"managed":1}' },
      ],
    })
    expect((await authenticate(withToken())).caller).toBe(caller)
  })

  it('stays limited when the policies that limit it are gone', async () => {
    const { authenticate } = world({ identity: role, session: { managedPolicies: ['Gone'] } })
    expect((await authenticate(withToken())).caller.sessionPolicies).toEqual([])
  })

  it('ends at its time, to the millisecond', async () => {
    const at = (expiresAtMs: number) => world({ identity: role, session: { expiresAtMs } }).authenticate(withToken())
    await expect(at(SIGNED_AT_MS + 1)).resolves.toBeDefined()
    await expect(at(SIGNED_AT_MS)).rejects.toMatchObject({
      ...{ code: 'ExpiredTokenException', message: 'The security token included in the request is expired' },
    })
  })

  it('ends with its role, and when the role has revoked what was issued before', async () => {
    const issuedAtMs = SIGNED_AT_MS - 10
    const revoked = (revokedBeforeMs: number) => {
      const identity = { kind: 'role', role: { ...role.role, revokedBeforeMs } } as const
      return world({ identity, session: { issuedAtMs } }).authenticate(withToken())
    }
    await expect(revoked(issuedAtMs)).resolves.toBeDefined()
    await expect(revoked(issuedAtMs + 1)).rejects.toMatchObject(INVALID)
    await expect(world({ identity: role, gone: true }).authenticate(withToken())).rejects.toMatchObject(INVALID)
    await expect(world().authenticate(withToken())).rejects.toMatchObject(INVALID)
  })

  it('is nobody with another token, and none that is not signed is looked at', async () => {
    const { authenticate } = world({ identity: role })
    await expect(authenticate(withToken('other'))).rejects.toMatchObject(INVALID)
    const unsigned = signed({ headers: [...HEADERS, 'X-Amz-Security-Token', TOKEN] })
    await expect(authenticate(unsigned)).rejects.toMatchObject({ code: 'IncompleteSignatureException' })
  })
})
