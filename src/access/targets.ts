/**
 * From what a request names (key id, key ARN, alias name, alias ARN, the header of a ciphertext) to the KMS key that is
 * meant: the one read of the store on a request's road, which memory answers for keys in use.
 */
import { kidOfCiphertext } from '../formats/ciphertext.ts'
import { aliasArn, keyArn, parseKmsArn } from '../model/arn.ts'
import { KmsError } from '../model/errors.ts'
import type { KmsKey } from '../model/key.ts'
import { isKeyId, keyIdOf } from '../model/key-id.ts'
import type { Scope } from '../store/records.ts'
import type { HotReader } from '../store/store.ts'
import type { Asker } from './request-context.ts'

/** Whether an operation takes aliases: only cryptographic ones, DescribeKey and GetPublicKey do. */
export type NameForms = 'ids' | 'ids-and-aliases'

/** What a KeyId member means. */
export type Named = Found | Absent

interface Found {
  readonly key: KmsKey
  /** The alias that the request used. */
  readonly alias: string | undefined
}

/** There is no such key. */
export interface Absent {
  readonly key: undefined
  readonly alias: string | undefined
  /** The account that would have the key. */
  readonly account: string
  /** What is said, to those who may know, of a key that is not there. */
  readonly error: KmsError
}

export class Targets {
  readonly #hot: HotReader

  constructor(hot: HotReader) {
    this.#hot = hot
  }

  /**
   * What a KeyId member names. That a key is not there is an answer here, not an error: to callers of other accounts an
   * absent key is one that they may not use. A key id that memory knows is answered without a promise. Throws KmsError
   * NotFound or InvalidArn for what names no key at all.
   */
  named(asker: Asker, keyId: string, forms: NameForms): Named | Promise<Named> {
    const { scope, resource } = locate(asker, keyId)
    if (resource.startsWith('alias/')) {
      if (forms === 'ids') throw aliasRefused(keyId)
      return this.#byAlias(scope, resource)
    }
    if (isKeyId(resource)) return this.#byId(scope, resource, undefined)
    return absent(scope, undefined, invalidKeyId(keyId, resource))
  }

  /**
   * The key that made a ciphertext, by its header, which nothing has proven yet. A key of the caller's account that memory
   * knows is answered without a promise. Throws KmsError InvalidCiphertext.
   */
  ofCiphertext(asker: Asker, blob: Buffer): KmsKey | undefined | Promise<KmsKey | undefined> {
    const id = keyIdOf(ciphertextKid(blob))
    if (id === undefined) return undefined
    const { region, caller } = asker
    const own = this.#hot.key({ region, account: caller.account }, id)
    return own === undefined || own instanceof Promise ? this.#ofAnyAccount(own, region, id) : own
  }

  async #ofAnyAccount(own: Promise<KmsKey | undefined> | undefined, region: string, id: string) {
    const key = await own
    if (key !== undefined) return key
    const account = await this.#hot.keyOwner(region, id)
    return account === undefined ? undefined : this.#hot.key({ region, account }, id)
  }

  #byId(scope: Scope, id: string, alias: string | undefined): Named | Promise<Named> {
    const found = this.#hot.key(scope, id)
    if (found instanceof Promise) return found.then(key => foundOr(key, scope, id, alias))
    return foundOr(found, scope, id, alias)
  }

  async #byAlias(scope: Scope, name: string): Promise<Named> {
    const found = this.#hot.alias(scope, name)
    const alias = found instanceof Promise ? await found : found
    if (alias === undefined) return absent(scope, name, aliasNotFound(scope, name))
    return this.#byId(scope, alias.keyId, name)
  }
}

function foundOr(key: KmsKey | undefined, scope: Scope, id: string, alias: string | undefined): Named {
  return key === undefined ? absent(scope, alias, keyNotFound(scope, id)) : { key, alias }
}

function absent({ account }: Scope, alias: string | undefined, error: KmsError): Absent {
  return { key: undefined, alias, account, error }
}

/** The kid in a ciphertext's header. Throws KmsError InvalidCiphertextException. */
export function ciphertextKid(blob: Buffer): Buffer {
  try {
    return kidOfCiphertext(blob)
  } catch (error) {
    throw new KmsError('InvalidCiphertextException', '', { cause: error })
  }
}

export function aliasNotFound({ region, account }: Scope, name: string): KmsError {
  return new KmsError('NotFoundException', `Alias ${aliasArn(region, account, name)} is not found.`)
}

function keyNotFound({ region, account }: Scope, id: string): KmsError {
  return new KmsError('NotFoundException', `Key '${keyArn(region, account, id)}' does not exist`)
}

function locate({ caller, region }: Asker, keyId: string): { scope: Scope; resource: string } {
  if (!isArn(keyId)) return { scope: { region, account: caller.account }, resource: keyId }
  const arn = parseKmsArn(keyId)
  if (arn === undefined) throw new KmsError('InvalidArnException', `Invalid arn ${keyId}`)
  if (arn.region !== region) throw new KmsError('NotFoundException', `Invalid arn ${arn.region}`)
  const resource = arn.resource.startsWith('key/') ? arn.resource.slice('key/'.length) : arn.resource
  return { scope: arn, resource }
}

function aliasRefused(keyId: string): KmsError {
  if (isArn(keyId)) return new KmsError('InvalidArnException', 'Key Aliases are not supported for this operation.')
  return invalidKeyId(keyId, keyId)
}

/** AWS quotes an id that stands alone, and not one in an ARN. */
function invalidKeyId(keyId: string, id: string): KmsError {
  return new KmsError('NotFoundException', `Invalid keyId ${isArn(keyId) ? id : `'${id}'`}`)
}

function isArn(keyId: string): boolean {
  return keyId.startsWith('arn:')
}
