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
import type { AccessKey, Principal } from '../model/identity.ts'
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
   * At once when memory holds the access key, its owner and its signing key: an async function costs more than what it would
   * wait for. Throws or rejects with KmsError, with the code and message of AWS; which of key and signature was wrong is told
   * no further.
   */
  authenticate(request: IncomingRequest, headers?: HeaderFields): Authenticated | Promise<Authenticated> {
    const signed = readSignedRequest(request, headers)
    if (signed.sessionToken !== undefined) return this.#bySession(signed, signed.sessionToken)
    const accessKey = this.#parts.hot.accessKey(signed.accessKeyId)
    if (accessKey instanceof Promise) return accessKey.then(found => this.#byAccessKey(signed, found))
    return this.#byAccessKey(signed, accessKey)
  }

  #byAccessKey(signed: SignedRequest, accessKey: AccessKey | undefined): Authenticated | Promise<Authenticated> {
    if (accessKey === undefined || !accessKey.active) throw unrecognized('no active access key')
    const owner = this.#parts.hot.principal(accessKey.principalId)
    if (owner instanceof Promise) return owner.then(found => this.#byOwner(signed, accessKey, found))
    return this.#byOwner(signed, accessKey, owner)
  }

  #byOwner(
    signed: SignedRequest,
    { sealedSecret }: AccessKey,
    owner: Principal | undefined,
  ): Authenticated | Promise<Authenticated> {
    if (owner === undefined) throw unrecognized('the identity of the access key is gone')
    const { secrets, served, clock } = this.#parts
    const nowMs = clock()
    checkScope(signed, served, nowMs)
    const { accessKeyId, date, region, service } = signed
    const { principalId, account } = owner.identity
    const scope = { date, region, service }
    const key = secrets.signingKey({ accessKeyId, principalId, account }, sealedSecret, scope)
    if (key instanceof Promise) return key.then(opened => this.#bySignature(signed, owner, opened, nowMs))
    return this.#bySignature(signed, owner, key, nowMs)
  }

  #bySignature(
    signed: SignedRequest,
    owner: Principal,
    signingKey: Buffer,
    nowMs: number,
  ): Authenticated | Promise<Authenticated> {
    checkSignature(signed, signingKey)
    const { accessKeyId, region, service, headers } = signed
    this.#parts.accessKeyUses.note(accessKeyId, nowMs, region, service)
    if (saysForWhom(headers)) return this.#onBehalf(signed, owner)
    return { caller: callerOf(owner), region, accessKeyId }
  }

  async #onBehalf(signed: SignedRequest, service: Principal): Promise<Authenticated> {
    const acting = await actingOf(this.#parts, signed, service)
    return { ...acting, region: signed.region, accessKeyId: signed.accessKeyId }
  }

  async #bySession(signed: SignedRequest, token: string): Promise<Authenticated> {
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
