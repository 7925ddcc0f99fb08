/** What the daemon would decide, for an operator who asks: nothing is done, and nobody has to sign. */
import { type Explanation, explain } from '../access/explain.ts'
import { type ConditionKey, ENCRYPTION_CONTEXT } from '../access/policy/context.ts'
import { findPrincipal } from '../access/principals.ts'
import { isRequestConditionKey } from '../access/request-context.ts'
import { callerOf } from '../identities/caller.ts'
import { assumedRoleArn } from '../model/arn.ts'
import type { Caller } from '../model/caller.ts'
import { KmsError } from '../model/errors.ts'
import type { Access } from '../operations/access.ts'
import type { Reader } from '../store/store.ts'

export interface Question {
  readonly principal: string
  /** `kms:` included. */
  readonly action: string
  readonly region: string
  /** A key id, ARN or alias; undefined for actions on no key. */
  readonly key?: string | undefined
  /** Condition keys that a request would bring along, and pairs of its encryption context: all other names. */
  readonly context: readonly (readonly [string, string])[]
}

export class Explanations {
  readonly #access: Access
  readonly #reader: Reader

  constructor(parts: { access: Access; reader: Reader }) {
    this.#access = parts.access
    this.#reader = parts.reader
  }

  /** Throws KmsError NotFoundException for a principal or key that is not there. */
  async explain({ principal, action, region, key, context }: Question): Promise<Explanation> {
    const caller = await this.#callerOf(principal)
    const encryptionContext = new Map<string, string>()
    const keys = new Map<string, string>()
    for (const [name, value] of context) {
      if (!isRequestConditionKey(name)) encryptionContext.set(name, value)
      else if (!name.toLowerCase().startsWith(ENCRYPTION_CONTEXT)) keys.set(name.toLowerCase(), value)
      else encryptionContext.set(name.slice(ENCRYPTION_CONTEXT.length), value)
    }
    const asked = await this.#access.question({ caller, region }, action, key, { encryptionContext })
    const value = (of: ConditionKey) => keys.get(of.name) ?? asked.context.value(of)
    return explain({ ...asked, context: { encryptionContext, value } })
  }

  /** A role is explained as one of its sessions. */
  async #callerOf(arn: string): Promise<Caller> {
    const identity = await findPrincipal(this.#reader, arn)
    const principal = identity && (await this.#reader.findPrincipal(identity.principalId))
    if (principal === undefined) throw new KmsError('NotFoundException', `There is no principal ${arn}`)
    const { kind, account, name, principalId, tags } = principal.identity
    if (kind !== 'role') return callerOf(principal)
    const { policies, boundary } = principal
    return {
      kind: 'assumed-role',
      arn: arn.startsWith('arn:aws:sts:') ? arn : assumedRoleArn(account, name, 'session'),
      ...{ account, principalArn: principal.identity.arn, userId: `${principalId}:session`, policies, tags },
      ...(boundary === undefined ? {} : { boundary }),
    }
  }
}
