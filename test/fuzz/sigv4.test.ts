/** Mutated requests against the verification of signatures: none is accepted, and none makes the daemon fail. */
import { describe, expect, test } from '@jest/globals'
import fc from 'fast-check'
import { Authenticator } from '../../src/api/authenticate.ts'
import { deriveSigningKey } from '../../src/api/sigv4/signature.ts'
import type { IncomingRequest } from '../../src/api/sigv4/verify.ts'
import { errorKind, KmsError } from '../../src/model/errors.ts'
import { sandbox } from '../conformance/kms.ts'
import { timestampOf } from '../conformance/raw.ts'
import {
  ACCESS_KEY_ID,
  HEADERS,
  SECRET,
  SERVED,
  SIGNED_AT_MS,
  SIGNED_HEADERS,
  signed,
} from '../unit/api/sigv4/requests.ts'
import { makeIdentity } from '../unit/store/records.ts'
import { meaningOf, mutate, mutations } from './mutations.ts'
import { runs, TIMEOUT_MS } from './runs.ts'
import { bytesOf, exchange, statusOf } from './wire.ts'

const TOKEN = 'AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyAh'
const OTHER_ACCESS_KEY_ID = 'AKIAIOSFODNN7OTHER00'

/** One principal, two access keys with a secret each, and one session of the first. */
function makeAuthenticator(): Authenticator {
  const role = { trustPolicy: '{}', trustPrincipals: new Map(), sessionSecondsMax: 3_600, revokedBeforeMs: 0 }
  const user = { identity: makeIdentity('alice'), policies: [], boundary: undefined }
  const assumed = { identity: makeIdentity('night', { kind: 'role', role }), policies: [], boundary: undefined }
  const secrets = new Map([
    [ACCESS_KEY_ID, SECRET],
    [OTHER_ACCESS_KEY_ID, 'another'],
  ])
  const principals = new Map([user, assumed].map(principal => [principal.identity.principalId, principal]))
  const session = {
    ...{ accessKeyId: ACCESS_KEY_ID, principalId: assumed.identity.principalId, sessionName: 'first', tags: new Map() },
    ...{ issuedAtMs: SIGNED_AT_MS - 1_000, expiresAtMs: SIGNED_AT_MS + 1_000, managedPolicies: [] },
  }
  const keyOf = (id: string, scope: Parameters<typeof deriveSigningKey>[1]) => deriveSigningKey(secrets.get(id)!, scope)
  return new Authenticator({
    hot: {
      accessKey: (id: string) =>
        secrets.has(id) ? { id, principalId: user.identity.principalId, active: true } : undefined,
      principal: (id: string) => principals.get(id),
    },
    secrets: {
      signingKey: ({ accessKeyId }: { accessKeyId: string }, _: unknown, scope: never) => keyOf(accessKeyId, scope),
    },
    sessions: {
      open: (token: string, id: string, scope: never) =>
        token === TOKEN && id === ACCESS_KEY_ID ? { session, signingKey: keyOf(id, scope) } : undefined,
    },
    accessKeyUses: { note: () => undefined },
    served: SERVED,
    clock: () => SIGNED_AT_MS,
  } as never)
}

const authenticator = makeAuthenticator()

/** `accepted`, or the code of the refusal. What is no KmsError would be answered with a 500, and fails here. */
async function outcomeOf(request: IncomingRequest): Promise<string> {
  try {
    await authenticator.authenticate(request)
    return 'accepted'
  } catch (error) {
    if (!(error instanceof KmsError) || errorKind(error.code).status >= 500) throw error
    return error.code
  }
}

const BASES: readonly IncomingRequest[] = [
  signed(),
  signed({ url: '/?a=1&b=2' }),
  signed({ body: Buffer.alloc(0) }),
  signed({
    headers: [...HEADERS, 'X-Amz-Security-Token', TOKEN],
    signedHeaders: [...SIGNED_HEADERS, 'x-amz-security-token'].sort(),
  }),
]

describe('the verifier', () => {
  test('accepts what the mutations begin with', async () => {
    expect(await Promise.all(BASES.map(outcomeOf))).toEqual(BASES.map(() => 'accepted'))
  })

  test(
    'accepts no request that means anything else than what was signed',
    async () => {
      const codes = new Set<string>()
      await fc.assert(
        fc.asyncProperty(fc.constantFrom(...BASES), mutations, async (base, changes) => {
          const request = mutate(base, changes)
          const outcome = await outcomeOf(request)
          fc.pre(meaningOf(request) !== meaningOf(base))
          codes.add(outcome)
          expect(outcome).not.toBe('accepted')
        }),
        runs(20_000, 1_000_000),
      )
      // The mutations reach every check there is.
      expect([...codes].sort()).toEqual([
        ...['IncompleteSignatureException', 'InvalidSignatureException', 'MissingAuthenticationTokenException'],
        'UnrecognizedClientException',
      ])
    },
    TIMEOUT_MS,
  )
})

/** Signed with the sandbox's own credentials, for now. */
function rightRequest(): IncomingRequest {
  const timestamp = timestampOf(Date.now())
  const { host } = new URL(sandbox.endpoint)
  const target = ['X-Amz-Target', 'TrentService.ListKeys', 'X-Amz-Date', timestamp]
  return signed({
    headers: ['Host', host, 'Content-Type', 'application/x-amz-json-1.1', ...target],
    body: Buffer.from('{"Limit":1}'),
    timestamp,
    scope: { date: timestamp.slice(0, 8), region: sandbox.region, service: 'kms' },
    credentials: sandbox,
  })
}

/** A line break in a header begins another one, whatever the list of headers says. */
const isOneRequest = ({ method, url, rawHeaders }: IncomingRequest) =>
  ![method, url, ...rawHeaders].join().match(/[\r\n]/)

/** As it comes off the wire: more than one space between method and target is read as one (RFC 9112 section 3). */
const offTheWire = (request: IncomingRequest): IncomingRequest => ({
  ...request,
  method: request.method.replace(/ +$/, ''),
  url: request.url.replace(/^ +/, ''),
})

describe('the daemon', () => {
  test('accepts what the mutations begin with', async () => {
    expect(statusOf(await exchange(sandbox.endpoint, bytesOf(rightRequest())))).toBe(200)
  })

  test(
    'accepts no mutated request, and answers none with a fault of its own',
    async () => {
      await fc.assert(
        fc.asyncProperty(mutations, async changes => {
          const base = rightRequest()
          const request = mutate(base, changes)
          const answer = await exchange(sandbox.endpoint, bytesOf(request))
          const status = statusOf(answer) ?? 400
          expect(status).toBeLessThan(500)
          fc.pre(isOneRequest(request) && meaningOf(offTheWire(request)) !== meaningOf(base))
          expect(status).toBeGreaterThanOrEqual(400)
        }),
        runs(500, 20_000),
      )
      expect(statusOf(await exchange(sandbox.endpoint, bytesOf(rightRequest())))).toBe(200)
    },
    TIMEOUT_MS,
  )
})
