/**
 * How a caller proves who it is, in the order of authz.md 1.5: by an access key, or by temporary credentials and their
 * token. Secrets are not in this world: the crypto world opens them once a day, region and service, and hands out the
 * signing key alone. Who it is that called stands in the Caller.
 */
import type { Clock } from '../base/clock.ts'
import type { AccessKeyUses } from '../identities/access-key-uses.ts'
import { callerOf } from '../identities/caller.ts'
import type { Secrets } from '../keyring/secrets.ts'
import type { Sessions } from '../keyring/sessions.ts'
import type { Caller } from '../model/caller.ts'
import { KmsError } from '../model/errors.ts'
import type { HotReader } from '../store/store.ts'
import { actingOf, saysForWhom } from './acting.ts'
import { callerOfOpened, unrecognized } from './session-callers.ts'
import type { HeaderFields } from './sigv4/headers.ts'
import {
  checkScope,
  checkSignature,
  type IncomingRequest,
  readSignedRequest,
  type Served,
  type SignedRequest,
} from './sigv4/verify.ts'

export interface Authenticated {
  readonly caller: Caller
  /** The region of the credential scope, which decides where the request is served. */
  readonly region: string
  /** What the request is signed with: the caller's, or that of the service which calls on its behalf. */
  readonly accessKeyId: string
  /** The resource on whose behalf a service calls. */
  readonly sourceArn?: string
}

export interface AuthenticatorParts {
  readonly hot: HotReader
  readonly secrets: Secrets
  readonly sessions: Sessions
  readonly accessKeyUses: AccessKeyUses
  readonly served: Served
  readonly clock: Clock
}

export class Authenticator {
  readonly #parts: AuthenticatorParts

  constructor(parts: AuthenticatorParts) {
    this.#parts = parts
  }

  /**
   * Waits for nothing that memory holds: an await costs a turn of the microtask queue even for a value that is there.
   * Throws KmsError with the code and message of AWS; which of key and signature was wrong is told no further.
   */
  async authenticate(request: IncomingRequest, headers?: HeaderFields): Promise<Authenticated> {
    const { hot, secrets, accessKeyUses, served, clock } = this.#parts
    const signed = readSignedRequest(request, headers)
    if (signed.sessionToken !== undefined) return this.#authenticateSession(signed, signed.sessionToken)
    const { accessKeyId, date, region, service } = signed
    const found = hot.accessKey(accessKeyId)
    const accessKey = found instanceof Promise ? await found : found
    if (accessKey === undefined || !accessKey.active) throw unrecognized('no active access key')
    const owner = hot.principal(accessKey.principalId)
    const principal = owner instanceof Promise ? await owner : owner
    if (principal === undefined) throw unrecognized('the identity of the access key is gone')
    const nowMs = clock()
    checkScope(signed, served, nowMs)
    const { principalId, account } = principal.identity
    const scope = { date, region, service }
    const key = secrets.signingKey({ accessKeyId, principalId, account }, accessKey.sealedSecret, scope)
    checkSignature(signed, key instanceof Promise ? await key : key)
    accessKeyUses.note(accessKeyId, nowMs, region, service)
    if (saysForWhom(signed.headers)) {
      return { ...(await actingOf(this.#parts, signed, principal)), region, accessKeyId }
    }
    return { caller: callerOf(principal), region, accessKeyId }
  }

  async #authenticateSession(signed: SignedRequest, token: string): Promise<Authenticated> {
    const { hot, sessions, served, clock } = this.#parts
    const { accessKeyId, date, region, service } = signed
    // First, because a scope that is not served is nothing to open a token for.
    checkScope(signed, served, clock())
    const opening = sessions.open(token, accessKeyId, { date, region, service })
    const opened = opening instanceof Promise ? await opening : opening
    if (opened === undefined) throw unrecognized('not a session token of this access key')
    const { session, signingKey } = opened
    if (session.expiresAtMs <= clock()) {
      throw new KmsError('ExpiredTokenException', 'The security token included in the request is expired')
    }
    // Before anything is waited for: a key that memory lets go of is overwritten.
    checkSignature(signed, signingKey)
    if (saysForWhom(signed.headers)) throw new KmsError('AccessDeniedException', 'A session calls on behalf of nobody.')
    return { caller: await callerOfOpened(hot, session), region, accessKeyId }
  }
}
