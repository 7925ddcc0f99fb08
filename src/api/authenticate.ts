/**
 * Who is calling: from a signed request to a Caller, in the order of authz.md 1.5. The long-term secret is not in this
 * world; the crypto world opens it once a day, region and service, and hands out the signing key alone.
 */
import type { Clock } from '../base/clock.ts'
import type { AccessKeyUses } from '../identities/access-key-uses.ts'
import { callerOf } from '../identities/caller.ts'
import type { Secrets } from '../keyring/secrets.ts'
import type { Caller } from '../model/caller.ts'
import { KmsError } from '../model/errors.ts'
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
  readonly #accessKeyUses: AccessKeyUses
  readonly #served: Served
  readonly #clock: Clock

  constructor(parts: {
    hot: HotReader
    secrets: Secrets
    accessKeyUses: AccessKeyUses
    served: Served
    clock: Clock
  }) {
    this.#hot = parts.hot
    this.#secrets = parts.secrets
    this.#accessKeyUses = parts.accessKeyUses
    this.#served = parts.served
    this.#clock = parts.clock
  }

  /**
   * Waits for nothing that memory holds: an await costs a turn of the microtask queue even for a value that is there.
   * Throws KmsError with the code and message of AWS; which of key and signature was wrong is told no further.
   */
  async authenticate(request: IncomingRequest): Promise<Authenticated> {
    const signed = readSignedRequest(request)
    const { accessKeyId, date, region, service } = signed
    const found = this.#hot.accessKey(accessKeyId)
    const accessKey = found instanceof Promise ? await found : found
    // Session tokens are not made yet, so one that comes along is not valid for any access key.
    if (accessKey === undefined || !accessKey.active || signed.sessionToken !== undefined) throw unrecognized()
    const owner = this.#hot.principal(accessKey.principalId)
    const principal = owner instanceof Promise ? await owner : owner
    if (principal === undefined) throw unrecognized()
    const nowMs = this.#clock()
    checkScope(signed, this.#served, nowMs)
    const { principalId, account } = principal.identity
    const scope = { date, region, service }
    const key = this.#secrets.signingKey({ accessKeyId, principalId, account }, accessKey.sealedSecret, scope)
    checkSignature(signed, key instanceof Promise ? await key : key)
    this.#accessKeyUses.note(accessKeyId, nowMs, region, service)
    return { caller: callerOf(principal), region, accessKeyId }
  }
}

function unrecognized(): KmsError {
  return new KmsError('UnrecognizedClientException', 'The security token included in the request is invalid.')
}
