/**
 * The engine on cases from a file: everything that a decision depends on stands in the case, and nothing comes from a
 * clock, a store or a network.
 */
import { z } from 'zod'
import { accountOfArn } from '../model/arn.ts'
import type { Caller, CallerKind } from '../model/caller.ts'
import type { Grant, GrantConstraints, GrantOperation } from '../model/grant.ts'
import { type AccessRequest, authorize } from './authorize.ts'
import { KEY_POLICY_NAME } from './compiled.ts'
import type { Decision } from './decision.ts'
import { indexGrants } from './grants.ts'
import {
  type ConditionKey,
  type Context,
  type ContextValue,
  conditionKey,
  ENCRYPTION_CONTEXT,
  Variants,
} from './policy/context.ts'
import { PolicyFault } from './policy/fault.ts'
import { compilePolicy } from './policy/parse.ts'
import { Policy } from './policy/policy.ts'

const nullable = <S extends z.ZodType>(shape: S) => shape.nullish().transform(value => value ?? undefined)
const json = z.custom<object>(
  found => typeof found === 'object' && found !== null && !Array.isArray(found),
  'must be an object',
)
/** A JSON object as its members stand there: a record of zod would lose one that is named `__proto__`. */
const members = json.transform(found => Object.entries(found) as [string, unknown][])
const texts = members.pipe(z.array(z.tuple([z.string(), z.string()])))
const contextValues = members.pipe(z.array(z.tuple([z.string(), z.union([z.string(), z.array(z.string())])])))

const grantShape = z.object({
  KeyId: nullable(z.string()),
  GrantId: nullable(z.string()),
  GranteePrincipal: nullable(z.string()),
  GranteeServicePrincipal: nullable(z.string()),
  RetiringPrincipal: nullable(z.string()),
  RetiringServicePrincipal: nullable(z.string()),
  IssuingAccount: nullable(z.string()),
  Operations: z.array(z.string()),
  Constraints: nullable(
    z.object({
      EncryptionContextEquals: nullable(texts),
      EncryptionContextSubset: nullable(texts),
      SourceArn: nullable(z.string()),
    }),
  ),
})

const caseShape = z.object({
  principal: z.object({
    arn: z.string(),
    account: nullable(z.string()),
    type: z.enum(['User', 'AssumedRole', 'Account', 'Service']),
    tags: nullable(texts),
    roleArn: nullable(z.string()),
  }),
  identityPolicies: nullable(z.array(json)),
  boundary: nullable(json),
  sessionPolicies: nullable(z.array(json)),
  keyPolicy: nullable(json),
  keyArn: nullable(z.string().regex(/^arn:[^:]*:kms:[^:]*:\d{12}:./, 'must be the ARN of a key')),
  grants: nullable(z.array(grantShape)),
  action: z.string(),
  context: nullable(contextValues),
})
type Case = z.infer<typeof caseShape>

const KINDS: Readonly<Record<Case['principal']['type'], CallerKind>> = {
  User: 'user',
  AssumedRole: 'assumed-role',
  Account: 'root',
  Service: 'service',
}

/** Judges one case. Throws PolicyFault or z.ZodError for one that is malformed. */
export function simulate(input: unknown): Decision {
  return authorize(requestOf(caseShape.parse(input)))
}

function requestOf(one: Case): AccessRequest {
  const caller = callerOf(one)
  const [, , , region = '', account = caller.account] = one.keyArn?.split(':') ?? []
  if (one.keyPolicy !== undefined && one.keyArn === undefined) throw new PolicyFault('a keyPolicy needs a keyArn')
  const context = new CaseContext(one, caller)
  const policies = {
    identity: (one.identityPolicies ?? []).map((policy, at) =>
      compilePolicy('identity', `identity policy ${at + 1}`, policy),
    ),
    boundary: one.boundary && compilePolicy('identity', 'the permissions boundary', one.boundary),
    session: sessionPoliciesOf(one),
  }
  const key = (one.keyPolicy !== undefined || isKey(one.keyArn)) && {
    principals: new Map<string, string>(),
    // A key without a key policy is one that nobody is allowed to use by it.
    policy: one.keyPolicy ? compilePolicy('key', KEY_POLICY_NAME, one.keyPolicy) : new Policy(KEY_POLICY_NAME, []),
    grants: indexGrants((one.grants ?? []).filter(grant => isOfKey(grant, one.keyArn)).map(grantOf)),
  }
  const arn = one.keyArn ?? `arn:aws:kms:${textOf(context, 'aws:RequestedRegion') ?? region}:${account}:*`
  return { caller, action: one.action, resource: { arn, account }, context, policies, key: key || undefined }
}

/** An empty list is none: it is no session that may do nothing. */
function sessionPoliciesOf({ sessionPolicies = [] }: Case): Policy[] | undefined {
  if (sessionPolicies.length === 0) return undefined
  return sessionPolicies.map((policy, at) => compilePolicy('identity', `session policy ${at + 1}`, policy))
}

function isKey(arn: string | undefined): boolean {
  return arn?.split(':')[5]?.startsWith('key/') === true
}

function callerOf({ principal, context = [] }: Case): Caller {
  const { arn, type, tags = [], roleArn } = principal
  const account = accountOf(principal) ?? ''
  const told = context.find(([name]) => name.toLowerCase() === 'aws:principalarn')?.[1]
  const principalArn = type === 'AssumedRole' ? (roleArn ?? (typeof told === 'string' ? told : roleOf(arn))) : arn
  return { kind: KINDS[type], arn, account, principalArn, userId: '', policies: [], tags: new Map(tags) }
}

/** Where a case does not say it, an ARN does; a service is of no account. */
function accountOf({ account, arn, type }: Case['principal']): string | undefined {
  return account ?? (type === 'Service' ? undefined : accountOfArn(arn))
}

/** Of a session, without the path that only the case could tell. */
function roleOf(session: string): string {
  const [, account, name] = /^arn:aws:sts::(\d{12}):assumed-role\/([^/]+)\//.exec(session) ?? []
  return account === undefined ? session : `arn:aws:iam::${account}:role/${name}`
}

function isOfKey({ KeyId }: z.infer<typeof grantShape>, keyArn = ''): boolean {
  return KeyId === undefined || KeyId === keyArn || keyArn.endsWith(`:key/${KeyId}`)
}

function grantOf(found: z.infer<typeof grantShape>): Grant {
  const { EncryptionContextEquals: equals, EncryptionContextSubset: subset, SourceArn } = found.Constraints ?? {}
  const constraints: GrantConstraints = {
    ...(equals && { encryptionContextEquals: new Map(equals) }),
    ...(subset && { encryptionContextSubset: new Map(subset) }),
    ...(SourceArn !== undefined && { sourceArn: SourceArn }),
  }
  const [issuingAccount = ''] = /\d{12}/.exec(found.IssuingAccount ?? '') ?? []
  return {
    id: found.GrantId ?? 'without an id',
    name: '',
    grantee: asArn(found.GranteePrincipal) ?? found.GranteeServicePrincipal ?? '',
    retiring: asArn(found.RetiringPrincipal) ?? found.RetiringServicePrincipal,
    operations: found.Operations as GrantOperation[],
    constraints,
    principalIds: new Map(),
    issuingAccount,
    createdAtMs: 0,
    tokenSeed: Buffer.alloc(0),
  }
}

/** An account may be named by its number. */
function asArn(principal: string | undefined): string | undefined {
  return principal !== undefined && /^\d{12}$/.test(principal) ? `arn:aws:iam::${principal}:root` : principal
}

/** The context of the case, and of the keys that principal and key give, those that it does not have. */
class CaseContext implements Context {
  readonly #values = new Map<string, ContextValue>()
  readonly encryptionContext: ReadonlyMap<string, string>

  constructor({ context = [], keyArn, principal }: Case, caller: Caller) {
    const encryptionContext = new Map<string, string>()
    for (const [name, value] of context) {
      this.#add(conditionKey(name), value)
      if (name.toLowerCase().startsWith(ENCRYPTION_CONTEXT))
        encryptionContext.set(name.slice(ENCRYPTION_CONTEXT.length), [value].flat().join())
    }
    this.encryptionContext = encryptionContext
    const [, , , region, account] = keyArn?.split(':') ?? []
    const ofAccount = accountOf(principal)
    this.#derive('aws:PrincipalArn', ofAccount && caller.principalArn)
    this.#derive('aws:PrincipalAccount', ofAccount)
    this.#derive('aws:PrincipalType', principal.type)
    this.#derive('aws:username', principal.type === 'User' ? caller.arn.split('/').at(-1) : undefined)
    this.#derive('aws:ResourceAccount', account)
    this.#derive('aws:RequestedRegion', region)
    this.#derive('kms:CallerAccount', isKey(keyArn) ? ofAccount : undefined)
    const told = new Set(this.#values.keys())
    for (const [key, value] of principal.tags ?? []) {
      const tag = conditionKey(`aws:PrincipalTag/${key}`)
      if (!told.has(tag.name)) this.#add(tag, value)
    }
  }

  value({ name }: ConditionKey): ContextValue {
    return this.#values.get(name)
  }

  #derive(name: string, value: string | undefined): void {
    const key = conditionKey(name)
    if (value !== undefined && !this.#values.has(key.name)) this.#values.set(key.name, value)
  }

  #add({ name, family }: ConditionKey, value: string | string[]): void {
    const before = this.#values.get(name)
    const alike = before instanceof Variants ? before.values : typeof before === 'string' ? [before] : undefined
    const variant = family !== undefined && alike !== undefined && typeof value === 'string'
    this.#values.set(name, variant ? new Variants([...alike, value]) : value)
  }
}

function textOf(context: Context, name: string): string | undefined {
  const value = context.value(conditionKey(name))
  return typeof value === 'string' ? value : undefined
}
