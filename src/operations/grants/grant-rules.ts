/** What a grant may be, and how it is shown. */

import { identify } from '../../access/principals.ts'
import type { RequestFacts } from '../../access/request-context.ts'
import type { ResourceQuotas } from '../../config/schema.ts'
import { rootArn } from '../../model/arn.ts'
import type { Caller } from '../../model/caller.ts'
import { KmsError } from '../../model/errors.ts'
import {
  CONSTRAINT_PAIRS_MAX,
  CONSTRAINT_VALUE_MAX_CHARACTERS,
  fitsKey,
  type Grant,
  type GrantConstraints,
  type GrantOperation,
  type GrantTerms,
} from '../../model/grant.ts'
import type { KmsKey } from '../../model/key.ts'
import type { Reader } from '../../store/store.ts'
import { epochSeconds } from '../keys/key-metadata.ts'
import { invalid } from '../shapes.ts'

interface ConstraintsInput {
  readonly EncryptionContextEquals?: ReadonlyMap<string, string> | undefined
  readonly EncryptionContextSubset?: ReadonlyMap<string, string> | undefined
  readonly SourceArn?: string | undefined
}

interface GrantInput {
  readonly GranteePrincipal?: string | undefined
  readonly GranteeServicePrincipal?: string | undefined
  readonly RetiringPrincipal?: string | undefined
  readonly RetiringServicePrincipal?: string | undefined
  readonly Operations: readonly GrantOperation[]
  readonly Constraints?: ConstraintsInput | undefined
}

const GRANT_ID = /^[0-9a-f]{64}$/
const ACCOUNT = /^\d{12}$/

/** What needs no key. Throws KmsError ValidationException. */
export function checkGrantInput(input: GrantInput): void {
  const { GranteePrincipal, GranteeServicePrincipal, RetiringPrincipal, RetiringServicePrincipal } = input
  if ((GranteePrincipal === undefined) === (GranteeServicePrincipal === undefined)) {
    invalid('You must specify either GranteePrincipal or GranteeServicePrincipal.')
  }
  if (RetiringPrincipal !== undefined && RetiringServicePrincipal !== undefined) {
    invalid('You cannot specify both RetiringPrincipal and RetiringServicePrincipal.')
  }
  if (input.Operations.every(operation => operation === 'CreateGrant')) {
    invalid('Grants must not contain only the CreateGrant operation.')
  }
  const constraints = constraintsOf(input)
  const { encryptionContextEquals: equals, encryptionContextSubset: subset, sourceArn } = constraints
  if (equals !== undefined && subset !== undefined) invalid('More than one constraint supplied')
  const pairs = contextOf(constraints) ?? new Map<string, string>()
  if (pairs.size > CONSTRAINT_PAIRS_MAX) invalid(`A grant constraint has at most ${CONSTRAINT_PAIRS_MAX} pairs.`)
  if ([...pairs.values()].some(value => value.length > CONSTRAINT_VALUE_MAX_CHARACTERS)) {
    invalid(`A value in a grant constraint has at most ${CONSTRAINT_VALUE_MAX_CHARACTERS} characters.`)
  }
  const retiring = RetiringPrincipal ?? RetiringServicePrincipal
  if (GranteeServicePrincipal !== undefined && (sourceArn === undefined || retiring === undefined)) {
    invalid('A grant with a GranteeServicePrincipal must have a SourceArn constraint and a retiring principal.')
  }
}

/** The terms as they are kept. A number stands for the root of an account. */
function termsOf(input: GrantInput): Omit<GrantTerms, 'principalIds'> {
  const retiring = input.RetiringPrincipal ?? input.RetiringServicePrincipal
  return {
    grantee: principalArn(input.GranteePrincipal ?? input.GranteeServicePrincipal ?? ''),
    retiring: retiring === undefined ? undefined : principalArn(retiring),
    operations: [...new Set(input.Operations)],
    constraints: constraintsOf(input),
  }
}

/** Beside another constraint an empty map is none: some clients always send both. Of two empty ones the stricter counts. */
function constraintsOf({ Constraints = {} }: GrantInput): GrantConstraints {
  const { EncryptionContextEquals: equals, EncryptionContextSubset: subset, SourceArn: sourceArn } = Constraints
  const onlySubset = equals?.size === 0 && subset !== undefined && subset.size > 0
  const onlyEquals = equals !== undefined && subset?.size === 0
  return {
    ...(equals && !onlySubset && { encryptionContextEquals: equals }),
    ...(subset && !onlyEquals && { encryptionContextSubset: subset }),
    ...(sourceArn !== undefined && { sourceArn }),
  }
}

/** A principal as grants keep it. */
export function principalArn(principal: string): string {
  return ACCOUNT.test(principal) ? rootArn(principal) : principal
}

/** What conditions may ask of a grant that is to be made. */
export function newGrantFacts(caller: Caller, input: GrantInput): RequestFacts {
  const { constraints, operations } = termsOf(input)
  return {
    encryptionContext: contextOf(constraints),
    keys: {
      ...serviceFacts(caller),
      'kms:GrantOperations': operations,
      'kms:GrantConstraintType': constraintType(constraints),
      'kms:GrantConstraintSourceArn': constraints.sourceArn,
      'kms:GranteePrincipal': input.GranteePrincipal,
      'kms:GranteeServicePrincipal': input.GranteeServicePrincipal,
      'kms:RetiringPrincipal': input.RetiringPrincipal,
      'kms:RetiringServicePrincipal': input.RetiringServicePrincipal,
    },
  }
}

/** Whether a service makes, lists or revokes the grant, for itself or on somebody's behalf. */
export function serviceFacts({ kind, viaService }: Caller) {
  return { 'kms:GrantIsForAWSResource': kind === 'service' || viaService !== undefined } as const
}

/** What conditions may ask of a grant that is to be retired. */
export function retiredGrantFacts({ constraints }: Grant): RequestFacts {
  return {
    keyUnseen: true,
    encryptionContext: contextOf(constraints),
    keys: { 'kms:GrantConstraintType': constraintType(constraints) },
  }
}

function contextOf({ encryptionContextEquals: equals, encryptionContextSubset: subset }: GrantConstraints) {
  return equals ?? subset
}

function constraintType({ encryptionContextEquals: equals, encryptionContextSubset: subset }: GrantConstraints) {
  if (equals !== undefined) return 'EncryptionContextEquals'
  return subset === undefined ? undefined : 'EncryptionContextSubset'
}

/** The terms of a grant that may be made. Throws KmsError ValidationException, or InvalidArnException for a principal that is not there. */
export async function requireGrantable(reader: Reader, key: KmsKey, input: GrantInput): Promise<GrantTerms> {
  const unfit = input.Operations.find(operation => !fitsKey(operation, key))
  if (unfit !== undefined) invalid(`Operation ${unfit} is not valid for a ${key.spec} key with usage ${key.usage}.`)
  const terms = termsOf(input)
  if (contextOf(terms.constraints) !== undefined && key.spec !== 'SYMMETRIC_DEFAULT') {
    invalid('Encryption context constraints are valid for symmetric encryption keys only.')
  }
  const named = [input.GranteePrincipal, input.RetiringPrincipal].filter(principal => principal !== undefined)
  const principalIds = await identify(reader, named.map(principalArn))
  if (!('unknown' in principalIds)) return { ...terms, principalIds }
  throw new KmsError('InvalidArnException', `ARN does not refer to a valid principal: ${principalIds.unknown}`)
}

/** Throws KmsError LimitExceededException. */
export function requireRoomForGrant(key: KmsKey, { grantsPerKey }: ResourceQuotas): void {
  if (key.grants.length < grantsPerKey) return
  throw new KmsError(
    'LimitExceededException',
    `${key.arn} has ${key.grants.length} grants; a key can have ${grantsPerKey}.`,
  )
}

/** Throws KmsError InvalidGrantIdException for what is no grant id, NotFoundException for one that the key does not have. */
export function requireGrant(key: KmsKey, grantId: string): Grant {
  requireGrantId(grantId)
  const grant = key.grants.find(({ id }) => id === grantId)
  if (grant === undefined) throw grantNotFound(grantId)
  return grant
}

/** Throws KmsError InvalidGrantIdException. */
export function requireGrantId(grantId: string): void {
  if (!GRANT_ID.test(grantId)) throw new KmsError('InvalidGrantIdException', 'The grant id is not valid.')
}

export function grantNotFound(grantId: string): KmsError {
  return new KmsError('NotFoundException', `Grant ${grantId} does not exist`)
}

/** An entry of ListGrants and ListRetirableGrants. */
export function describeGrant(keyArn: string, grant: Grant): Record<string, unknown> {
  const { constraints, grantee, retiring } = grant
  const { encryptionContextEquals: equals, encryptionContextSubset: subset, sourceArn } = constraints
  return {
    KeyId: keyArn,
    GrantId: grant.id,
    Name: grant.name,
    CreationDate: epochSeconds(grant.createdAtMs),
    ...principalMember('Grantee', grantee),
    ...(retiring === undefined ? {} : principalMember('Retiring', retiring)),
    IssuingAccount: rootArn(grant.issuingAccount),
    Operations: grant.operations,
    Constraints:
      Object.keys(constraints).length === 0
        ? undefined
        : {
            EncryptionContextEquals: equals && Object.fromEntries(equals),
            EncryptionContextSubset: subset && Object.fromEntries(subset),
            SourceArn: sourceArn,
          },
  }
}

function principalMember(role: 'Grantee' | 'Retiring', principal: string): Record<string, string> {
  return { [principal.startsWith('arn:') ? `${role}Principal` : `${role}ServicePrincipal`]: principal }
}

/** Whether two grants say the same, so that one name may stand for both requests. */
export function sameTerms(a: GrantTerms, b: GrantTerms): boolean {
  return termsText(a) === termsText(b)
}

function termsText({ grantee, retiring, operations, constraints, principalIds }: GrantTerms): string {
  const { encryptionContextEquals: equals, encryptionContextSubset: subset, sourceArn } = constraints
  const sorted = (pairs: ReadonlyMap<string, string> | undefined) => pairs && [...pairs].sort()
  return JSON.stringify([
    grantee,
    retiring,
    [...operations].sort(),
    sorted(equals),
    sorted(subset),
    sourceArn,
    sorted(principalIds),
  ])
}
