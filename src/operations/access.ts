/**
 * The ways an operation lets callers in. Each resolves what the input names, asks for the decision, and only then looks at
 * usage and state, so that a caller without rights learns nothing about a key.
 */
import { type AccessRequest, authorize, type Resource } from '../access/authorize.ts'
import { type KeySide, policiesOf, sideOf } from '../access/compiled.ts'
import { type Decision, deniedInvisibly } from '../access/decision.ts'
import { indexGrants } from '../access/grants.ts'
import { type Asker, type KeyFacts, RequestContext, type RequestFacts } from '../access/request-context.ts'
import {
  type Absent,
  aliasNotFound,
  ciphertextKid,
  type Named,
  type NameForms,
  type Targets,
} from '../access/targets.ts'
import type { Clock } from '../base/clock.ts'
import { readGrantToken } from '../formats/grant-token.ts'
import type { KeyUses } from '../keyring/key-uses.ts'
import { accountArn, aliasArn } from '../model/arn.ts'
import { KmsError } from '../model/errors.ts'
import type { Grant } from '../model/grant.ts'
import { type Alias, type KeyState, type KmsKey, requireState } from '../model/key.ts'
import { type KeyUsage, specFacts } from '../model/key-specs.ts'
import type { OperationName } from '../model/operations.ts'
import type { KeyGrant } from '../store/records.ts'
import type { HotReader, Reader } from '../store/store.ts'
import type { ServiceKeys } from './service-keys.ts'

/** Actions whose conditions may ask how long a key was not used (authz.md 4.2). */
const ASKING_FOR_DISUSE: ReadonlySet<string> = new Set(['kms:DisableKey', 'kms:ScheduleKeyDeletion'])
const NO_FACTS: RequestFacts = {}

export interface KeyRequirement {
  /** The permission, `kms:` included. */
  readonly action: string
  readonly names?: NameForms
  /** States in which the operation works; all of them when absent. */
  readonly states?: readonly KeyState[]
  readonly usage?: KeyUsage
  /** Whether the key is to make data keys, which RSA keys do not. */
  readonly dataKeys?: true
  /** What conditions may ask of the input. */
  readonly facts?: RequestFacts
  readonly grantTokens?: readonly string[] | undefined
}

export class Access {
  readonly #targets: Targets
  readonly #hot: HotReader
  readonly #reader: Reader
  readonly #clock: Clock
  readonly #serviceKeys: ServiceKeys
  readonly #keyUses: Pick<KeyUses, 'daysWithoutUse'>

  constructor(parts: {
    targets: Targets
    hot: HotReader
    reader: Reader
    clock: Clock
    serviceKeys: ServiceKeys
    keyUses: Pick<KeyUses, 'daysWithoutUse'>
  }) {
    this.#targets = parts.targets
    this.#hot = parts.hot
    this.#reader = parts.reader
    this.#clock = parts.clock
    this.#serviceKeys = parts.serviceKeys
    this.#keyUses = parts.keyUses
  }

  /** For operations on no key: the identity's own policies decide. */
  account(asker: Asker, action: string, facts: RequestFacts = {}): void {
    const { caller, region } = asker
    requireAllowed(
      asker,
      this.#request(asker, action, { arn: accountArn(region, caller.account), account: caller.account }, facts),
    )
  }

  /**
   * The key that a member names, authorised, in a fit state and of a fit usage. One that memory knows costs no promise.
   * Throws KmsError, or rejects with it.
   */
  key(asker: Asker, operation: OperationName, keyId: string, need: KeyRequirement): KmsKey | Promise<KmsKey> {
    const named = this.#targets.named(asker, keyId, need.names ?? 'ids')
    const waits = need.grantTokens !== undefined || ASKING_FOR_DISUSE.has(need.action)
    if (waits || named instanceof Promise || named.key === undefined) {
      return this.#keyInTime(asker, operation, named, need)
    }
    return this.#fitKey(asker, operation, named.key, factsOf(need, named.alias), need)
  }

  async #keyInTime(
    asker: Asker,
    operation: OperationName,
    naming: Named | Promise<Named>,
    need: KeyRequirement,
  ): Promise<KmsKey> {
    const named = await naming
    // Before the decision, and whatever it will be: a bad token gives one answer, of keys that are there and that are not.
    if (need.grantTokens !== undefined) await this.#checkGrantTokens(asker, need.grantTokens, named.key)
    const key = named.key ?? (await this.#firstUse(asker, named, need)) ?? refuseAbsent(asker, named, need.action)
    const facts = await this.#factsAbout(key, need.action, factsOf(need, named.alias))
    return this.#fitKey(asker, operation, key, facts, need)
  }

  #fitKey(asker: Asker, operation: OperationName, key: KmsKey, facts: RequestFacts, need: KeyRequirement): KmsKey {
    requireAllowed(asker, this.onKey(asker, key, need.action, facts, sideOf(key)))
    return requireFit(operation, key, need)
  }

  /**
   * The key of a ciphertext. When the request names a key too, that one is authorised, and must be the one that made the
   * ciphertext: throws KmsError IncorrectKeyException when it is not. An unknown key and one that the caller may not use
   * give one answer. One that memory knows costs no promise.
   */
  keyOfCiphertext(
    asker: Asker,
    operation: OperationName,
    blob: Buffer,
    keyId: string | undefined,
    need: KeyRequirement,
  ): KmsKey | Promise<KmsKey> {
    if (keyId !== undefined) {
      const named = this.key(asker, operation, keyId, need)
      return named instanceof Promise ? named.then(key => requireMaker(key, blob)) : requireMaker(named, blob)
    }
    const found = this.#targets.ofCiphertext(asker, blob)
    if (found instanceof Promise || need.grantTokens !== undefined) {
      return this.#makerInTime(asker, operation, found, need)
    }
    return this.#fitMaker(asker, operation, found, need)
  }

  async #makerInTime(
    asker: Asker,
    operation: OperationName,
    finding: KmsKey | undefined | Promise<KmsKey | undefined>,
    need: KeyRequirement,
  ): Promise<KmsKey> {
    const key = await finding
    if (need.grantTokens !== undefined) await this.#checkGrantTokens(asker, need.grantTokens, key)
    return this.#fitMaker(asker, operation, key, need)
  }

  #fitMaker(asker: Asker, operation: OperationName, key: KmsKey | undefined, need: KeyRequirement): KmsKey {
    const decision = key && decide(asker, this.onKey(asker, key, need.action, need.facts ?? NO_FACTS, sideOf(key)))
    if (key !== undefined && decision?.allowed === true) return requireFit(operation, key, need)
    throw new KmsError(
      'AccessDeniedException',
      'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.',
      { detail: decision?.reason ?? 'there is no such key in the region' },
    )
  }

  /**
   * Whether a KeyId member means the key of a ciphertext, or the key that another KeyId means. Tells nothing to the caller
   * by itself: what is wrong with a name is said when its key is asked for.
   */
  async isKeyOf(asker: Asker, keyId: string, other: Buffer | string): Promise<boolean> {
    const idOf = async (name: string) => {
      try {
        return (await this.#targets.named(asker, name, 'ids-and-aliases')).key?.kid
      } catch (error) {
        if (error instanceof KmsError) return undefined
        throw error
      }
    }
    const kid = typeof other === 'string' ? await idOf(other) : ciphertextKid(other)
    return kid !== undefined && (await idOf(keyId))?.equals(kid) === true
  }

  /** An alias that exists, authorised as a resource of its own. Throws KmsError NotFoundException. */
  async alias(asker: Asker, action: string, name: string): Promise<Alias> {
    const { region, caller } = asker
    this.aliasAction(asker, action, name)
    const scope = { region, account: caller.account }
    const alias = await this.#hot.alias(scope, name)
    if (alias === undefined) throw aliasNotFound(scope, name)
    return alias
  }

  /** Authorises an action on an alias name, whether the alias exists or not. Returns its ARN. */
  aliasAction(asker: Asker, action: string, name: string): string {
    const { caller, region } = asker
    const arn = aliasArn(region, caller.account, name)
    requireAllowed(asker, this.#request(asker, action, { arn, account: caller.account }, {}))
    return arn
  }

  /** What a caller would ask, with nothing done about it. Throws KmsError for what names no key. */
  async question(asker: Asker, action: string, keyId: string | undefined, facts: RequestFacts): Promise<AccessRequest> {
    const { caller, region } = asker
    const account = { arn: accountArn(region, caller.account), account: caller.account }
    if (keyId === undefined) return this.#request(asker, action, account, facts)
    const named = await this.#targets.named(asker, keyId, 'ids-and-aliases')
    if (named.key === undefined) throw named.error
    const known = await this.#factsAbout(named.key, action, factsOf({ action, facts }, named.alias))
    return this.onKey(asker, named.key, action, known, sideOf(named.key))
  }

  /** What is asked about an action on a key, which `side` speaks for: its own, or one that is to be tried. */
  onKey(asker: Asker, key: KeyFacts, action: string, facts: RequestFacts, side: KeySide): AccessRequest {
    return this.#request(asker, action, key, facts, key, side)
  }

  /**
   * A grant of a key, found by its token or by what the caller says of it, with an action that the grant itself decides.
   * Throws KmsError InvalidGrantToken, or what `grantOf` throws; AccessDenied for grants of other accounts' keys that are
   * not there.
   */
  async grant(
    asker: Asker,
    action: string,
    which: { token: string } | { keyId: string; grantOf: (key: KmsKey) => Grant },
    factsOfGrant: (grant: Grant) => RequestFacts,
  ): Promise<KeyGrant> {
    const { key, grant } =
      'token' in which ? await this.#byToken(asker, which.token) : await this.#byName(asker, action, which)
    const side = { ...sideOf(key), grants: indexGrants([grant]) }
    requireAllowed(asker, this.onKey(asker, key, action, factsOfGrant(grant), side))
    return { region: key.region, account: key.account, keyId: key.id, grant }
  }

  /** With what only a read can tell; of actions that are rare. */
  async #factsAbout(key: KmsKey, action: string, facts: RequestFacts): Promise<RequestFacts> {
    if (!ASKING_FOR_DISUSE.has(action)) return facts
    const days = await this.#keyUses.daysWithoutUse(key, this.#clock())
    return { ...facts, keys: { ...facts.keys, 'kms:TrailingDaysWithoutKeyUsage': days } }
  }

  async #byToken(asker: Asker, token: string): Promise<{ key: KmsKey; grant: Grant }> {
    const found = await this.#grantOfToken(asker, token)
    const key = await this.#hot.key(found, found.keyId)
    if (key === undefined) throw invalidGrantToken()
    return { key, grant: found.grant }
  }

  async #byName(
    asker: Asker,
    action: string,
    { keyId, grantOf }: { keyId: string; grantOf: (key: KmsKey) => Grant },
  ): Promise<{ key: KmsKey; grant: Grant }> {
    const named = await this.#targets.named(asker, keyId, 'ids')
    const key = named.key ?? refuseAbsent(asker, named, action)
    try {
      return { key, grant: grantOf(key) }
    } catch (error) {
      throw key.account === asker.caller.account ? error : invisible(asker, action)
    }
  }

  /**
   * The grant that a token was made for. Throws KmsError InvalidGrantTokenException for any that is not valid (any more), or
   * is of another region, which has its own grants even where they are of one multi-Region key.
   */
  async #grantOfToken({ region }: Asker, token: string): Promise<KeyGrant> {
    const read = readGrantToken(token)
    const found = read && (await this.#reader.findGrant(read.grantId))
    if (read === undefined || found === undefined || !read.isOf(found.grant.tokenSeed)) throw invalidGrantToken()
    if (found.region !== region) throw invalidGrantToken()
    return found
  }

  /** The key of a service, made for the first caller who may use it; to others there is none. */
  async #firstUse(asker: Asker, { alias, account }: Absent, need: KeyRequirement): Promise<KmsKey | undefined> {
    if (alias === undefined || account !== asker.caller.account) return undefined
    const planned = await this.#serviceKeys.plan({ region: asker.region, account }, alias)
    if (planned === undefined) return undefined
    const { allowed } = authorize(this.onKey(asker, planned, need.action, factsOf(need, alias), sideOf(planned)))
    return allowed ? this.#serviceKeys.make(planned, alias) : undefined
  }

  #request(
    asker: Asker,
    action: string,
    resource: Resource,
    facts: RequestFacts,
    key?: KeyFacts,
    side?: KeySide,
  ): AccessRequest {
    const { caller } = asker
    const context = new RequestContext(asker, this.#clock, facts, key)
    return { caller, action, resource, context, policies: policiesOf(caller), key: side }
  }

  /**
   * Grants act at once, so tokens have nothing to add: they must be valid, that is all. Those of the key's own grants are
   * known to memory.
   */
  async #checkGrantTokens(asker: Asker, tokens: readonly string[], key: KmsKey | undefined): Promise<void> {
    for (const token of tokens) {
      const read = readGrantToken(token)
      const held: Grant | undefined = read && key?.grants.find(({ id }) => id === read.grantId)
      if (held === undefined) await this.#grantOfToken(asker, token)
      else if (!read?.isOf(held.tokenSeed)) throw invalidGrantToken()
    }
  }
}

/** The decision, noted where the request is recorded. */
function decide(asker: Asker, request: AccessRequest): Decision {
  const decision = authorize(request)
  asker.trail?.note(request.action, request.resource, decision)
  return decision
}

/** The same as an assertion. Throws KmsError AccessDeniedException with AWS's message; the reason is its detail. */
function requireAllowed(asker: Asker, request: AccessRequest): void {
  const decision = decide(asker, request)
  if (!decision.allowed) throw new KmsError('AccessDeniedException', decision.message, { detail: decision.reason })
}

/** To callers of its account, an absent key is not found; to others it is one that they may not use. */
function refuseAbsent(asker: Asker, { account, error }: Absent, action: string): never {
  throw asker.caller.account === account ? error : invisible(asker, action)
}

function invisible({ caller }: Asker, action: string): KmsError {
  const message = deniedInvisibly({ arn: caller.arn, action, resource: undefined })
  return new KmsError('AccessDeniedException', message, {
    detail: 'there is no such key or grant in the other account',
  })
}

/** Throws KmsError IncorrectKeyException for a ciphertext of another key. What a public key encrypts has no header of ours. */
function requireMaker(key: KmsKey, blob: Buffer): KmsKey {
  if (specFacts(key.spec).class !== 'asymmetric') requireHeaderOf(key, blob)
  return key
}

/** Throws KmsError InvalidCiphertextException for what has no header of ours, IncorrectKeyException for another key's. */
export function requireHeaderOf(key: KmsKey, blob: Buffer): void {
  if (ciphertextKid(blob).equals(key.kid)) return
  throw new KmsError(
    'IncorrectKeyException',
    'The key ID in the request does not identify a CMK that can perform this operation.',
  )
}

function factsOf({ facts = NO_FACTS }: KeyRequirement, alias: string | undefined): RequestFacts {
  return alias === undefined ? facts : { ...facts, keys: { ...facts.keys, 'kms:RequestAlias': alias } }
}

function invalidGrantToken(): KmsError {
  return new KmsError('InvalidGrantTokenException', 'The grant token is not valid.')
}

/** Usage, state and kind, in AWS's order, for a caller who is let in already. */
function requireFit(operation: OperationName, key: KmsKey, need: KeyRequirement): KmsKey {
  if (need.usage !== undefined && key.usage !== need.usage) {
    throw new KmsError(
      'InvalidKeyUsageException',
      `${key.arn} key usage is ${key.usage} which is not valid for ${operation}.`,
    )
  }
  if (need.states !== undefined) requireState(key, need.states)
  if (need.dataKeys === true && specFacts(key.spec).class === 'asymmetric') {
    throw new KmsError('InvalidKeyUsageException', 'You cannot generate a data key with an asymmetric CMK')
  }
  return key
}
