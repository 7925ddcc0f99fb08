/**
 * The ways an operation lets callers in. Each resolves what the input names, asks for the decision, and only then looks at
 * state and usage, so that a caller without rights learns nothing about a key.
 */

import { requireAllowed } from '../access/authorize.ts'
import { type Asker, ciphertextKid, type NameForms, type Targets } from '../access/targets.ts'
import { aliasArn } from '../model/arn.ts'
import { KmsError } from '../model/errors.ts'
import { type Alias, type KeyState, type KmsKey, requireState } from '../model/key.ts'
import { type KeyUsage, specFacts } from '../model/key-specs.ts'
import type { OperationName } from '../model/operations.ts'
import type { HotReader } from '../store/store.ts'

export interface KeyRequirement {
  /** The permission, `kms:` included. */
  readonly action: string
  readonly names?: NameForms
  /** States in which the operation works; all of them when absent. */
  readonly states?: readonly KeyState[]
  readonly usage?: KeyUsage
}

export class Access {
  readonly #targets: Targets
  readonly #hot: HotReader

  constructor(parts: { targets: Targets; hot: HotReader }) {
    this.#targets = parts.targets
    this.#hot = parts.hot
  }

  /** For operations on no key: the identity's own policies decide. */
  account({ caller }: Asker, action: string): void {
    requireAllowed(caller, action, { arn: '*', account: caller.account })
  }

  /** The key that a member names, authorised, in a fit state and of a fit usage. */
  async key(request: Asker, operation: OperationName, keyId: string, need: KeyRequirement): Promise<KmsKey> {
    const key = await this.#targets.named(request, keyId, need.action, need.names ?? 'ids')
    requireAllowed(request.caller, need.action, key)
    return requireFit(operation, key, need)
  }

  /**
   * The key of a ciphertext. When the request names a key too, that one is authorised, and must be the one that made the
   * ciphertext. Throws KmsError IncorrectKeyException when it is not.
   */
  async keyOfCiphertext(
    request: Asker,
    operation: OperationName,
    blob: Buffer,
    keyId: string | undefined,
    need: KeyRequirement,
  ): Promise<KmsKey> {
    if (keyId === undefined) {
      return requireFit(operation, await this.#targets.ofCiphertext(request, blob, need.action), need)
    }
    const key = await this.key(request, operation, keyId, need)
    // What is encrypted with a public key has no header of ours.
    if (specFacts(key.spec).class === 'asymmetric') return key
    if (ciphertextKid(blob).equals(key.kid)) return key
    throw new KmsError(
      'IncorrectKeyException',
      'The key ID in the request does not identify a CMK that can perform this operation.',
    )
  }

  /** An alias that exists, authorised as a resource of its own. Throws KmsError NotFoundException. */
  async alias(request: Asker, action: string, name: string): Promise<Alias> {
    const { region, caller } = request
    const arn = this.aliasAction(request, action, name)
    const alias = await this.#hot.alias({ region, account: caller.account }, name)
    if (alias === undefined) throw new KmsError('NotFoundException', `Alias ${arn} is not found.`)
    return alias
  }

  /** Authorises an action on an alias name, whether the alias exists or not. Returns its ARN. */
  aliasAction({ caller, region }: Asker, action: string, name: string): string {
    const arn = aliasArn(region, caller.account, name)
    requireAllowed(caller, action, { arn, account: caller.account })
    return arn
  }
}

/** State and usage, for a caller who is let in already. */
function requireFit(operation: OperationName, key: KmsKey, need: KeyRequirement): KmsKey {
  if (need.states !== undefined) requireState(key, need.states)
  if (need.usage !== undefined && key.usage !== need.usage) {
    throw new KmsError(
      'InvalidKeyUsageException',
      `${key.arn} key usage is ${key.usage} which is not valid for ${operation}.`,
    )
  }
  return key
}
