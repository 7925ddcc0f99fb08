/**
 * AssumeRole gives temporary credentials of a role to whoever its trust policy lets in: the role's rights, within what the
 * session is limited to, until they expire. The session is not stored; its token carries it, sealed.
 */
import { parsePolicy } from '../access/policy/parse.ts'
import { SECOND_MS } from '../base/clock.ts'
import { broken, custom, type Infer, list, optional, structure, text } from '../base/schema.ts'
import { encodeSessionTerms, type SessionTag, type SessionTerms } from '../formats/session-terms.ts'
import { SESSION_TERMS_MAX_BYTES } from '../formats/session-token.ts'
import {
  newId,
  SESSION_SECONDS_DEFAULT,
  SESSION_SECONDS_MAX,
  SESSION_SECONDS_MIN,
  TAG_KEY,
  TAG_VALUE,
} from '../identities/soundness.ts'
import { assumedRoleArn, parseIamArn } from '../model/arn.ts'
import type { Caller } from '../model/caller.ts'
import type { Identity } from '../model/identity.ts'
import { defineAction, type StsRequest } from './action.ts'
import { StsError } from './errors.ts'
import { allowsAssume } from './trust.ts'

const TEMPORARY_KEY_PREFIX = 'ASIA'
const TEMPORARY_KEY_CHARACTERS = 16
const POLICY_ARNS_MAX = 10
const TAGS_MAX = 50

const arn = text({ min: 20, max: 2_048 })
const sessionName = text({ min: 2, max: 64, pattern: /^[\w+=,.@-]*$/ })
const tagKey = text({ min: 1, max: 128 })
const tagValue = text({ max: 256 })
/** The Query protocol sends numbers as text. */
const seconds = custom(value => {
  const number = typeof value === 'string' && /^\d{1,9}$/.test(value) ? Number(value) : Number.NaN
  if (!(number >= SESSION_SECONDS_MIN))
    return broken(`Member must have value greater than or equal to ${SESSION_SECONDS_MIN}`)
  if (number > SESSION_SECONDS_MAX) return broken(`Member must have value less than or equal to ${SESSION_SECONDS_MAX}`)
  return number
})

const input = structure({
  RoleArn: arn,
  RoleSessionName: sessionName,
  DurationSeconds: optional(seconds),
  ExternalId: optional(text({ min: 2, max: 1_224, pattern: /^[\w+=,.@:/-]*$/ })),
  Policy: optional(text({ min: 1, max: 2_048 })),
  PolicyArns: optional(list(structure({ arn }), { max: POLICY_ARNS_MAX })),
  Tags: optional(list(structure({ Key: tagKey, Value: tagValue }), { max: TAGS_MAX })),
  TransitiveTagKeys: optional(list(tagKey, { max: TAGS_MAX })),
  SourceIdentity: optional(sessionName),
  SerialNumber: optional(text({ max: 256 })),
  TokenCode: optional(text({ max: 6 })),
})
type Input = Infer<typeof input>

export const AssumeRole = defineAction({
  name: 'AssumeRole',
  input,
  async run(request, asked) {
    const { sessions, clock } = request
    const role = await requireTrusted(request, asked)
    const issuedAtMs = clock()
    const terms: SessionTerms = {
      principalId: role.principalId,
      issuedAtMs,
      expiresAtMs: issuedAtMs + durationSeconds(request.caller, role, asked) * SECOND_MS,
      sessionName: asked.RoleSessionName,
      sourceIdentity: asked.SourceIdentity ?? request.caller.sourceIdentity,
      policy: sessionPolicy(asked),
      managedPolicies: await managedPolicies(request, role, asked),
      tags: sessionTags(request.caller, asked),
    }
    const termsBytes = encodeSessionTerms(terms).length
    const packedPercent = Math.ceil((termsBytes * 100) / SESSION_TERMS_MAX_BYTES)
    if (packedPercent > 100)
      throw new StsError(
        'PackedPolicyTooLarge',
        `Packed size of session tags and policies consumes ${packedPercent}% of allotted space.`,
      )
    const accessKeyId = newId(TEMPORARY_KEY_PREFIX, TEMPORARY_KEY_CHARACTERS)
    const { secretAccessKey, sessionToken } = await sessions.issue(accessKeyId, terms)
    const limited = terms.policy !== undefined || terms.managedPolicies.length > 0 || terms.tags.size > 0
    return {
      AssumedRoleUser: {
        AssumedRoleId: `${role.principalId}:${terms.sessionName}`,
        Arn: assumedRoleArn(role.account, role.name, terms.sessionName),
      },
      Credentials: {
        AccessKeyId: accessKeyId,
        SecretAccessKey: secretAccessKey,
        SessionToken: sessionToken,
        Expiration: new Date(terms.expiresAtMs).toISOString(),
      },
      PackedPolicySize: limited ? packedPercent : undefined,
      SourceIdentity: terms.sourceIdentity,
    }
  },
})

/** The role, once its trust policy has let the caller in. A role that does not exist is refused in the same words. */
async function requireTrusted(request: StsRequest, asked: Input): Promise<Identity> {
  const { caller, reader } = request
  const named = parseIamArn(asked.RoleArn)
  if (named?.kind !== 'role') throw new StsError('ValidationError', `${asked.RoleArn} is invalid`)
  if (caller.kind === 'root') throw new StsError('AccessDenied', 'Roles may not be assumed by root accounts.')
  if (asked.SerialNumber !== undefined || asked.TokenCode !== undefined)
    throw new StsError('AccessDenied', 'MultiFactorAuthentication is not supported.')
  const role = await reader.findIdentity(named.account, 'role', named.name)
  const refused = (action: string, detail: string) =>
    new StsError(
      'AccessDenied',
      `User: ${caller.arn} is not authorized to perform: ${action} on resource: ${asked.RoleArn}`,
      { detail },
    )
  if (role === undefined || role.arn !== asked.RoleArn) throw refused('sts:AssumeRole', 'there is no such role')
  const fixed = caller.sourceIdentity
  if (fixed !== undefined && asked.SourceIdentity !== undefined && asked.SourceIdentity !== fixed)
    throw refused('sts:SetSourceIdentity', 'the source identity of a session stays what it is')
  for (const action of actionsOf(asked)) {
    const { allowed, reason } = allowsAssume(request, role, action, asked)
    if (!allowed) throw refused(action, reason)
  }
  return role
}

function actionsOf({ Tags, SourceIdentity }: Input): string[] {
  return [
    'sts:AssumeRole',
    ...(Tags === undefined || Tags.length === 0 ? [] : ['sts:TagSession']),
    ...(SourceIdentity === undefined ? [] : ['sts:SetSourceIdentity']),
  ]
}

function durationSeconds({ kind }: Caller, { role }: Identity, { DurationSeconds }: Input): number {
  if (DurationSeconds === undefined) return SESSION_SECONDS_DEFAULT
  if (kind === 'assumed-role' && DurationSeconds > SESSION_SECONDS_DEFAULT) {
    throw new StsError(
      'ValidationError',
      'The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining',
    )
  }
  if (DurationSeconds > (role?.sessionSecondsMax ?? 0)) {
    throw new StsError(
      'ValidationError',
      'The requested DurationSeconds exceeds the MaxSessionDuration set for this role.',
    )
  }
  return DurationSeconds
}

function sessionPolicy({ Policy }: Input): string | undefined {
  if (Policy === undefined) return undefined
  try {
    parsePolicy('identity', 'the session policy', Policy)
  } catch (error) {
    throw new StsError('MalformedPolicyDocument', `The policy is not valid: ${(error as Error).message}`)
  }
  return Policy
}

/** Names of managed policies, which must be of the role's account. */
async function managedPolicies({ reader }: StsRequest, role: Identity, { PolicyArns = [] }: Input): Promise<string[]> {
  const names: string[] = []
  for (const { arn: policyArn } of PolicyArns) {
    const named = parseIamArn(policyArn)
    const policy =
      named?.kind === 'policy' && named.account === role.account
        ? await reader.findManagedPolicy(named.account, named.name)
        : undefined
    if (policy?.arn !== policyArn)
      throw new StsError('ValidationError', `Policy ${policyArn} does not exist in account ${role.account}.`)
    names.push(policy.name)
  }
  return names
}

/** The tags asked for, and those that the calling session must hand on. Keys are compared without regard to case. */
function sessionTags({ tags, transitiveTagKeys = [] }: Caller, asked: Input): Map<string, SessionTag> {
  const { Tags = [], TransitiveTagKeys = [] } = asked
  const inherited = new Map(
    transitiveTagKeys.map((key): [string, SessionTag] => [key, { value: tags.get(key) ?? '', transitive: true }]),
  )
  const taken = new Set([...inherited.keys()].map(key => key.toLowerCase()))
  const transitive = new Set(TransitiveTagKeys.map(key => key.toLowerCase()))
  const seen = new Set<string>()
  for (const { Key, Value } of Tags) {
    const folded = Key.toLowerCase()
    if (folded.startsWith('aws:'))
      throw new StsError('InvalidParameterValue', 'Tag keys beginning with aws: are reserved.')
    if (!TAG_KEY.test(Key) || !TAG_VALUE.test(Value))
      throw new StsError('InvalidParameterValue', 'A tag has characters that tags may not have.')
    if (seen.has(folded))
      throw new StsError(
        'InvalidParameterValue',
        'Duplicate tag keys found. Please note that Tag keys are case insensitive.',
      )
    if (taken.has(folded))
      throw new StsError(
        'InvalidParameterValue',
        "One of the specified transitive tag keys can't be set because it conflicts with a transitive tag key from the calling session.",
      )
    seen.add(folded)
    inherited.set(Key, { value: Value, transitive: transitive.has(folded) })
  }
  const unknown = [...transitive].find(key => !seen.has(key) && !taken.has(key))
  if (unknown !== undefined)
    throw new StsError(
      'InvalidParameterValue',
      'The specified transitive tag key must be included in the requested tags.',
    )
  return inherited
}
