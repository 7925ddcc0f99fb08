/**
 * From what a request names (key id, key ARN, alias name, alias ARN, the header of a ciphertext) to the KMS key that is
 * meant: the one read of the store on a request's road, which memory answers for keys in use.
 */
import { parseCiphertext } from '../formats/ciphertext.ts'
import { aliasArn, keyArn, parseKmsArn } from '../model/arn.ts'
import type { Caller } from '../model/caller.ts'
import { KmsError } from '../model/errors.ts'
import type { KmsKey } from '../model/key.ts'
import { isKeyId, keyIdOf } from '../model/key-id.ts'
import type { HotReader, Scope } from '../store/store.ts'
import { authorize, requireAllowed } from './authorize.ts'

/** Who asks, and for which region. */
export interface Asker {
  readonly caller: Caller
  readonly region: string
}

/** Whether an operation takes aliases: only cryptographic ones, DescribeKey and GetPublicKey do. */
export type NameForms = 'ids' | 'ids-and-aliases'

export class Targets {
  readonly #hot: HotReader

  constructor(hot: HotReader) {
    this.#hot = hot
  }

  /** The key that a KeyId member names. Throws KmsError: NotFound, InvalidArn, or AccessDenied for another account's. */
  async named(asker: Asker, keyId: string, action: string, forms: NameForms): Promise<KmsKey> {
    const { scope, resource } = locate(asker, keyId, action)
    const alias = resource.startsWith('alias/')
    if (alias && forms === 'ids') throw aliasRefused(keyId)
    const id = alias ? await this.#targetOf(scope, resource) : resource
    if (!isKeyId(id)) throw new KmsError('NotFoundException', `Invalid keyId '${keyId}'`)
    const found = this.#hot.key(scope, id)
    const key = found instanceof Promise ? await found : found
    if (key === undefined) {
      throw new KmsError('NotFoundException', `Key '${keyArn(scope.region, scope.account, id)}' does not exist`)
    }
    return key
  }

  /**
   * The key that made a ciphertext, by its header, which nothing has proven yet; the caller may use it. An unknown key,
   * another account's and one that the caller may not use give one answer. Throws KmsError: InvalidCiphertext,
   * AccessDenied.
   */
  async ofCiphertext({ caller, region }: Asker, blob: Buffer, action: string): Promise<KmsKey> {
    const id = keyIdOf(ciphertextKid(blob))
    const key = id === undefined ? undefined : await this.#hot.key({ region, account: caller.account }, id)
    const decision = key === undefined ? undefined : authorize(caller, action, key)
    if (key !== undefined && decision?.allowed === true) return key
    throw new KmsError(
      'AccessDeniedException',
      'The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.',
      { detail: decision?.reason ?? 'there is no such key in the account and region' },
    )
  }

  async #targetOf(scope: Scope, name: string): Promise<string> {
    const alias = await this.#hot.alias(scope, name)
    if (alias !== undefined) return alias.keyId
    throw new KmsError('NotFoundException', `Alias ${aliasArn(scope.region, scope.account, name)} is not found.`)
  }
}

/** The 17 bytes that name the key of a ciphertext. Throws KmsError InvalidCiphertextException. */
export function ciphertextKid(blob: Buffer): Buffer {
  try {
    return parseCiphertext(blob).kid
  } catch (error) {
    throw new KmsError('InvalidCiphertextException', '', { cause: error })
  }
}

function locate({ caller, region }: Asker, keyId: string, action: string): { scope: Scope; resource: string } {
  if (!keyId.startsWith('arn:')) return { scope: { region, account: caller.account }, resource: keyId }
  const arn = parseKmsArn(keyId)
  if (arn === undefined) throw new KmsError('InvalidArnException', `Invalid arn ${keyId}`)
  if (arn.region !== region) throw new KmsError('NotFoundException', `Invalid arn ${arn.region}`)
  // Whether another account's key exists is not told: without key policies nobody outside an account has a right to it.
  if (arn.account !== caller.account) requireAllowed(caller, action, { arn: keyId, account: arn.account })
  const resource = arn.resource.startsWith('key/') ? arn.resource.slice('key/'.length) : arn.resource
  return { scope: arn, resource }
}

function aliasRefused(keyId: string): KmsError {
  if (keyId.startsWith('arn:')) return new KmsError('InvalidArnException', `${keyId} is not a key ARN.`)
  return new KmsError('NotFoundException', `Invalid keyId '${keyId}'`)
}
