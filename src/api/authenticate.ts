/**
 * Who is calling: from a signed request to a Caller, in the order of authz.md 1.5. The long-term secret is not in this
 * world; the crypto world opens it once a day, region and service, and hands out the signing key alone.
 */
import type { Clock } from '../base/clock.ts'
import type { Secrets } from '../keyring/secrets.ts'
import type { Caller } from '../model/caller.ts'
import { KmsError } from '../model/errors.ts'
import type { AccessKeyOwner, HotReader } from '../store/store.ts'
import { checkScope, checkSignature, type IncomingRequest, readSignedRequest, type Served } from './sigv4/verify.ts'

export interface Authenticated {
  readonly caller: Caller
  /** The region of the credential scope, which decides where the request is served. */
  readonly region: string
}

export class Authenticator {
  readonly #hot: HotReader
  readonly #secrets: Secrets
  readonly #served: Served
  readonly #clock: Clock
  readonly #callers = new WeakMap<AccessKeyOwner, Caller>()

  constructor(parts: { hot: HotReader; secrets: Secrets; served: Served; clock: Clock }) {
    this.#hot = parts.hot
    this.#secrets = parts.secrets
    this.#served = parts.served
    this.#clock = parts.clock
  }

  /**
   * Waits for nothing that memory holds: an await costs a turn of the microtask queue even for a value that is there.
   * Throws KmsError with the code and message of AWS; which of key and signature was wrong is told no further.
   */
  async authenticate(request: IncomingRequest): Promise<Authenticated> {
    const signed = readSignedRequest(request)
    const found = this.#hot.accessKey(signed.accessKeyId)
    const owner = found instanceof Promise ? await found : found
    // Session tokens are not made yet, so one that comes along is not valid for any access key.
    if (owner === undefined || !owner.accessKey.active || signed.sessionToken !== undefined) {
      throw new KmsError('UnrecognizedClientException', 'The security token included in the request is invalid.')
    }
    checkScope(signed, this.#served, this.#clock())
    const { principalId, account } = owner.identity
    const secretOwner = { accessKeyId: signed.accessKeyId, principalId, account }
    const { date, region, service } = signed
    const key = this.#secrets.signingKey(secretOwner, owner.accessKey.sealedSecret, { date, region, service })
    checkSignature(signed, key instanceof Promise ? await key : key)
    return { caller: this.#callerOf(owner), region }
  }

  #callerOf(owner: AccessKeyOwner): Caller {
    let caller = this.#callers.get(owner)
    if (caller === undefined) {
      const { account, arn } = owner.identity
      caller = { account, arn, accessKeyId: owner.accessKey.id, identity: owner.identity }
      this.#callers.set(owner, caller)
    }
    return caller
  }
}
