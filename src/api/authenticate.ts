/**
 * Who is calling: from a signed request to a Caller, in the order of authz.md 1.5. The long-term secret is not in this
 * world; the crypto world opens it once a day, region and service, and hands out the signing key alone.
 */
import type { Clock } from '../base/clock.ts'
import type { Secrets } from '../keyring/secrets.ts'
import type { Caller } from '../model/caller.ts'
import { KmsError } from '../model/errors.ts'
import type { Identity } from '../model/identity.ts'
import type { HotReader } from '../store/store.ts'
import { checkScope, checkSignature, type IncomingRequest, readSignedRequest, type Served } from './sigv4/verify.ts'

export interface Authenticated {
  readonly caller: Caller
  /** The region of the credential scope, which decides where the request is served. */
  readonly region: string
  /** What the caller proved itself with. */
  readonly accessKeyId: string
}

export class Authenticator {
  readonly #hot: HotReader
  readonly #secrets: Secrets
  readonly #served: Served
  readonly #clock: Clock
  readonly #callers = new WeakMap<Identity, Caller>()

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
    return { caller: this.#callerOf(owner.identity), region, accessKeyId: signed.accessKeyId }
  }

  #callerOf(identity: Identity): Caller {
    let caller = this.#callers.get(identity)
    if (caller === undefined) {
      caller = callerOfIdentity(identity)
      this.#callers.set(identity, caller)
    }
    return caller
  }
}

function callerOfIdentity({ account, arn, principalId, name, policies }: Identity): Caller {
  const sources = [...policies].map(([policy, document]) => ({
    name: `inline policy ${policy} of user ${name}`,
    document,
  }))
  return {
    ...{ kind: 'user', arn, account, userId: principalId, principalArn: arn, userName: name },
    policies: sources,
    tags: new Map(),
  }
}
