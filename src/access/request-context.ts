/**
 * The request context of authz.md 4.2 and 4.3: every condition key, and where its value comes from. Worked out when a
 * policy asks: most ask for nothing.
 */
import type { Clock } from '../base/clock.ts'
import { accountOfArn, viaServiceName } from '../model/arn.ts'
import type { Caller, CallerKind } from '../model/caller.ts'
import { EMPTY_CONTEXT, type EncryptionContext } from '../model/encryption-context.ts'
import type { KmsKey, Tag } from '../model/key.ts'
import { multiRegionKeyType } from '../model/multi-region.ts'
import {
  type ConditionKey,
  type Context,
  type ContextValue,
  conditionKey,
  ENCRYPTION_CONTEXT,
  foldedMember,
} from './policy/context.ts'
import type { Trail } from './trail.ts'

/** What conditions may ask of a key, which need not be stored yet. */
export type KeyFacts = Pick<
  KmsKey,
  'arn' | 'region' | 'account' | 'id' | 'spec' | 'usage' | 'origin' | 'primaryRegion' | 'tags' | 'aliases'
>

/** Where a request came from. */
export interface Origin {
  readonly sourceIp: string | undefined
  readonly userAgent: string | undefined
  readonly secureTransport: boolean
}

/** Who asks, and for which region. */
export interface Asker {
  readonly caller: Caller
  readonly region: string
  readonly origin?: Origin | undefined
  /** Where decisions are noted; absent for questions that nothing is done upon. */
  readonly trail?: Trail | undefined
  /** The resource on whose behalf a service calls (`aws:SourceArn`), as a service says that may say it. */
  readonly sourceArn?: string | undefined
}

/** Keys that an operation fills from its input, as AWS spells them. */
const REQUEST_KEYS = [
  'aws:TagKeys',
  'kms:BypassPolicyLockoutSafetyCheck',
  'kms:CustomerMasterKeySpec',
  'kms:CustomerMasterKeyUsage',
  'kms:DataKeyPairSpec',
  'kms:EncryptionAlgorithm',
  'kms:ExpirationModel',
  'kms:GrantConstraintSourceArn',
  'kms:GrantConstraintType',
  'kms:GrantIsForAWSResource',
  'kms:GrantOperations',
  'kms:GranteePrincipal',
  'kms:GranteeServicePrincipal',
  'kms:KeyAgreementAlgorithm',
  'kms:KeyOrigin',
  'kms:KeySpec',
  'kms:KeyUsage',
  'kms:MacAlgorithm',
  'kms:MessageType',
  'kms:MultiRegion',
  'kms:MultiRegionKeyType',
  'kms:PrimaryRegion',
  'kms:ReEncryptOnSameKey',
  'kms:ReplicaRegion',
  'kms:RequestAlias',
  'kms:RetiringPrincipal',
  'kms:RetiringServicePrincipal',
  'kms:RotationPeriodInDays',
  'kms:ScheduleKeyDeletionPendingWindowInDays',
  'kms:SigningAlgorithm',
  'kms:TrailingDaysWithoutKeyUsage',
  'kms:ValidTo',
  'kms:WrappingAlgorithm',
  'kms:WrappingKeySpec',
] as const
export type RequestKey = (typeof REQUEST_KEYS)[number]
export type RequestKeys = Readonly<
  Partial<Record<RequestKey, string | number | boolean | readonly string[] | undefined>>
>

/** What an operation tells of its input; a key that does not apply to it is not there. */
export interface RequestFacts {
  readonly keys?: RequestKeys
  /** Of operations that take one, the empty one included. */
  readonly encryptionContext?: EncryptionContext | undefined
  readonly requestTags?: readonly Tag[] | undefined
  /** RetireGrant sees less of the key than others do. */
  readonly keyUnseen?: true
}

const MS_PER_SECOND = 1_000

export class RequestContext implements Context {
  readonly asker: Asker
  readonly key: KeyFacts | undefined
  readonly facts: RequestFacts
  readonly #clock: Clock

  constructor(asker: Asker, clock: Clock, facts: RequestFacts, key?: KeyFacts) {
    this.asker = asker
    this.#clock = clock
    this.facts = facts
    this.key = key
  }

  get encryptionContext(): EncryptionContext {
    return this.facts.encryptionContext ?? EMPTY_CONTEXT
  }

  get nowMs(): number {
    return this.#clock()
  }

  value({ name, family, member = '' }: ConditionKey): ContextValue {
    switch (family) {
      case ENCRYPTION_CONTEXT:
        return this.encryptionContext.size === 0 ? undefined : foldedMember(this.encryptionContext, member)
      case 'aws:principaltag/':
        return foldedMember(this.asker.caller.tags, member)
      case 'aws:resourcetag/':
        return foldedMember(pairs(this.key?.tags), member)
      case 'aws:requesttag/':
        return foldedMember(pairs(this.facts.requestTags), member)
      case undefined: {
        const asked = SPELLING.get(name)
        const told = asked === undefined ? undefined : this.facts.keys?.[asked]
        return told === undefined ? DERIVED.get(name)?.(this) : asValue(told)
      }
    }
  }
}

function* pairs(tags: readonly Tag[] = []): Generator<readonly [string, string]> {
  for (const { key, value } of tags) yield [key, value]
}

function asValue(told: NonNullable<RequestKeys[RequestKey]>): ContextValue {
  return typeof told === 'number' || typeof told === 'boolean' ? String(told) : told
}

const SPELLING: ReadonlyMap<string, RequestKey> = new Map(REQUEST_KEYS.map(key => [key.toLowerCase(), key]))

/** Whether it is the name of a condition key, and not that of a pair in an encryption context. */
export function isRequestConditionKey(name: string): boolean {
  const lower = name.toLowerCase()
  return SPELLING.has(lower) || DERIVED.has(lower) || conditionKey(lower).family !== undefined
}

type Derive = (context: RequestContext) => ContextValue

const PRINCIPAL_TYPES = {
  root: 'Account',
  user: 'User',
  'assumed-role': 'AssumedRole',
  service: 'Service',
} as const satisfies Record<CallerKind, string>

const caller =
  (get: (caller: Caller) => ContextValue): Derive =>
  ({ asker }) =>
    get(asker.caller)

/** Of principals that belong to an account. */
const ofAccount = (get: (caller: Caller) => ContextValue): Derive =>
  caller(one => (one.kind === 'service' ? undefined : get(one)))

/** Of operations on a key. */
const onKey =
  (get: (key: KeyFacts, asker: Asker) => ContextValue): Derive =>
  ({ key, asker }) =>
    key && get(key, asker)

/** Of operations on a key that see what kind of key it is. */
const ofKey =
  (get: (key: KeyFacts) => ContextValue): Derive =>
  ({ key, facts }) =>
    key === undefined || facts.keyUnseen ? undefined : get(key)

const spec = ofKey(key => key.spec)
const usage = ofKey(key => key.usage)

/** THE table of keys that need nothing of the input. */
const derived: Readonly<Record<string, Derive>> = {
  'aws:CalledVia': caller(({ viaService }) => (viaService === undefined ? undefined : [viaService])),
  'aws:CalledViaFirst': caller(({ viaService }) => viaService),
  'aws:CalledViaLast': caller(({ viaService }) => viaService),
  'aws:CurrentTime': ({ nowMs }) => new Date(nowMs).toISOString(),
  'aws:EpochTime': ({ nowMs }) => String(Math.floor(nowMs / MS_PER_SECOND)),
  'aws:MultiFactorAuthPresent': caller(({ kind }) => (kind === 'assumed-role' ? 'false' : undefined)),
  'aws:PrincipalAccount': ofAccount(({ account }) => account),
  'aws:PrincipalArn': ofAccount(({ principalArn }) => principalArn),
  'aws:PrincipalType': caller(({ kind }) => PRINCIPAL_TYPES[kind]),
  'aws:RequestedRegion': ({ asker }) => asker.region,
  'aws:ResourceAccount': ({ key, asker }) => key?.account ?? asker.caller.account,
  'aws:SecureTransport': ({ asker }) => asker.origin && String(asker.origin.secureTransport),
  'aws:SourceAccount': ({ asker }) => asker.sourceArn && accountOfArn(asker.sourceArn),
  'aws:SourceArn': ({ asker }) => asker.sourceArn,
  'aws:SourceIdentity': caller(({ sourceIdentity }) => sourceIdentity),
  // A service that calls on somebody's behalf does so from an address of its own.
  'aws:SourceIp': ({ asker }) => (asker.caller.viaService === undefined ? asker.origin?.sourceIp : undefined),
  'aws:TokenIssueTime': caller(({ tokenIssuedAtMs: at }) =>
    at === undefined ? undefined : new Date(at).toISOString(),
  ),
  'aws:UserAgent': ({ asker }) => asker.origin?.userAgent,
  'aws:userid': caller(({ userId }) => userId),
  'aws:username': caller(({ userName }) => userName),
  'aws:ViaAWSService': caller(({ viaService }) => String(viaService !== undefined)),
  'kms:CallerAccount': onKey((_, asker) => (asker.caller.kind === 'service' ? undefined : asker.caller.account)),
  'kms:CustomerMasterKeySpec': spec,
  'kms:CustomerMasterKeyUsage': usage,
  'kms:EncryptionContextKeys': ({ encryptionContext }) => [...encryptionContext.keys()],
  'kms:KeyOrigin': ofKey(key => key.origin),
  'kms:KeySpec': spec,
  'kms:KeyUsage': usage,
  'kms:MultiRegion': ofKey(key => String(key.id.startsWith('mrk-'))),
  'kms:MultiRegionKeyType': ofKey(multiRegionKeyType),
  'kms:ResourceAliases': onKey(key => key.aliases),
  'kms:ViaService': onKey((_, { caller: { viaService }, region }) => viaService && viaServiceName(viaService, region)),
}

const DERIVED: ReadonlyMap<string, Derive> = new Map(
  Object.entries(derived).map(([key, derive]) => [key.toLowerCase(), derive]),
)
