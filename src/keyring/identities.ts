/**
 * Identities and their access keys: made, listed, disabled and removed. A secret is drawn and sealed in the crypto world
 * and shown once; what is stored opens only there.
 */
import { randomInt } from 'node:crypto'
import type { Clock } from '../base/clock.ts'
import { userArn } from '../model/arn.ts'
import {
  ACCESS_KEYS_PER_IDENTITY,
  type AccessKey,
  FULL_ACCESS_POLICY,
  FULL_ACCESS_POLICY_NAME,
  type Identity,
} from '../model/identity.ts'
import type { Store } from '../store/store.ts'
import type { Secrets } from './secrets.ts'

/** What an operator asked for cannot be done; the message says why. */
export class IdentityRefused extends Error {
  override readonly name = 'IdentityRefused'
}

export interface NewAccessKey {
  readonly accessKeyId: string
  /** The one time it is shown. */
  readonly secretAccessKey: string
}

/** AWS's alphabet for ids: no 0, 1, 8 or 9, which are easily misread. */
const ID_ALPHABET = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'
const NAME = /^[\w+=,.@-]{1,64}$/
const PATH = /^\/(?:[\u0021-\u007e]{1,510}\/)?$/

export class Identities {
  readonly #store: Store
  readonly #secrets: Secrets
  readonly #clock: Clock

  constructor(parts: { store: Store; secrets: Secrets; clock: Clock }) {
    this.#store = parts.store
    this.#secrets = parts.secrets
    this.#clock = parts.clock
  }

  /** Makes a user. Without `fullAccess` it has no right until a policy gives it one. Throws {@link IdentityRefused}. */
  async create(request: {
    account: string
    name: string
    path?: string | undefined
    fullAccess: boolean
  }): Promise<Identity> {
    const { account, name, path = '/' } = request
    if (!NAME.test(name)) throw new IdentityRefused('a name has 1 to 64 letters, digits and _+=,.@-')
    if (!PATH.test(path)) throw new IdentityRefused('a path begins and ends with /')
    const identity: Identity = {
      principalId: newId('AIDA', 17),
      account,
      kind: 'user',
      path,
      name,
      arn: userArn(account, path, name),
      policies: new Map(request.fullAccess ? [[FULL_ACCESS_POLICY_NAME, FULL_ACCESS_POLICY]] : []),
      createdAtMs: this.#clock(),
    }
    await this.#store.transaction(async tx => {
      if (!(await tx.accountExists(account))) throw new IdentityRefused(`there is no account ${account}`)
      if ((await tx.findIdentity(account, name)) !== undefined)
        throw new IdentityRefused(`there is a user ${name} already`)
      await tx.insertIdentity(identity)
    })
    return identity
  }

  list(account: string): Promise<Identity[]> {
    return this.#store.reader.listIdentities(account)
  }

  /** Throws {@link IdentityRefused} when there is none. */
  async find(account: string, name: string): Promise<Identity> {
    const identity = await this.#store.reader.findIdentity(account, name)
    if (identity === undefined) throw new IdentityRefused(`there is no user ${name} in account ${account}`)
    return identity
  }

  /** Removes a user with its access keys. */
  async remove(account: string, name: string): Promise<Identity> {
    const identity = await this.find(account, name)
    await this.#store.transaction(tx => tx.deleteIdentity(identity))
    return identity
  }

  async listAccessKeys(account: string, name: string): Promise<AccessKey[]> {
    return this.#store.reader.listAccessKeys((await this.find(account, name)).principalId)
  }

  /**
   * Makes an access key; two of them at most, so that one can be rotated. `beforeStored` sees it before it is accepted
   * anywhere. Throws {@link IdentityRefused}.
   */
  async createAccessKey(
    account: string,
    name: string,
    beforeStored: (created: NewAccessKey) => void = () => {},
  ): Promise<NewAccessKey> {
    const { principalId } = await this.find(account, name)
    const accessKeyId = newId('AKIA', 16)
    const { secret, sealed } = await this.#secrets.create({ accessKeyId, principalId, account })
    const created = { accessKeyId, secretAccessKey: secret.toString('ascii') }
    secret.fill(0)
    const accessKey: AccessKey = {
      id: accessKeyId,
      principalId,
      active: true,
      sealedSecret: sealed,
      createdAtMs: this.#clock(),
    }
    await this.#store.transaction(async tx => {
      if ((await tx.listAccessKeys(principalId)).length >= ACCESS_KEYS_PER_IDENTITY) {
        throw new IdentityRefused(
          `user ${name} has ${ACCESS_KEYS_PER_IDENTITY} access keys, as many as a user can have`,
        )
      }
      beforeStored(created)
      await tx.insertAccessKey(accessKey)
    })
    return created
  }

  async setAccessKeyActive(account: string, name: string, accessKeyId: string, active: boolean): Promise<void> {
    const accessKey = await this.#accessKey(account, name, accessKeyId)
    await this.#store.transaction(tx => tx.updateAccessKey({ ...accessKey, active }))
  }

  async removeAccessKey(account: string, name: string, accessKeyId: string): Promise<void> {
    const accessKey = await this.#accessKey(account, name, accessKeyId)
    await this.#store.transaction(tx => tx.deleteAccessKey(accessKey))
  }

  async #accessKey(account: string, name: string, accessKeyId: string): Promise<AccessKey> {
    const accessKey = (await this.listAccessKeys(account, name)).find(({ id }) => id === accessKeyId)
    if (accessKey === undefined) throw new IdentityRefused(`user ${name} has no access key ${accessKeyId}`)
    return accessKey
  }
}

function newId(prefix: string, length: number): string {
  return prefix + Array.from({ length }, () => ID_ALPHABET[randomInt(ID_ALPHABET.length)]).join('')
}
