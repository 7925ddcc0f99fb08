/**
 * Access keys of users, services and roots. A secret is drawn and sealed in the crypto world and shown once; what is
 * stored opens only there.
 */
import type { Clock } from '../base/clock.ts'
import type { Secrets } from '../keyring/secrets.ts'
import { ACCESS_KEYS_PER_IDENTITY, type AccessKey, type AccessKeyUse, type Identity } from '../model/identity.ts'
import type { Store, Transaction } from '../store/store.ts'
import type { IdentityName } from './identities.ts'
import { IdentityRefused } from './refused.ts'
import { newId } from './soundness.ts'

const ACCESS_KEY_PREFIX = 'AKIA'
const ACCESS_KEY_CHARACTERS = 16

export interface NewAccessKey {
  readonly accessKeyId: string
  /** The one time it is shown. */
  readonly secretAccessKey: string
}

export interface ListedAccessKey {
  readonly accessKey: AccessKey
  readonly lastUse: AccessKeyUse | undefined
}

export class AccessKeys {
  readonly #store: Store
  readonly #secrets: Secrets
  readonly #clock: Clock

  constructor(parts: { store: Store; secrets: Secrets; clock: Clock }) {
    this.#store = parts.store
    this.#secrets = parts.secrets
    this.#clock = parts.clock
  }

  /** The oldest first. Throws {@link IdentityRefused}. */
  async list(name: IdentityName): Promise<ListedAccessKey[]> {
    const { principalId } = await this.#owner(name)
    const uses = new Map((await this.#store.reader.listAccessKeyUses(principalId)).map(use => [use.accessKeyId, use]))
    const accessKeys = await this.#store.reader.listAccessKeys(principalId)
    return accessKeys.map(accessKey => ({ accessKey, lastUse: uses.get(accessKey.id) }))
  }

  /**
   * Makes an access key; two of them at most, so that one can be rotated. `beforeStored` sees it before it is accepted
   * anywhere. Throws {@link IdentityRefused}.
   */
  async create(name: IdentityName, beforeStored: (created: NewAccessKey) => void = () => {}): Promise<NewAccessKey> {
    const { created, accessKey } = await this.#draw(await this.#owner(name))
    await this.#store.transaction(async tx => {
      await requireRoom(tx, accessKey, name)
      beforeStored(created)
      await tx.insertAccessKey(accessKey)
    })
    return created
  }

  /** Makes an access key in place of one, which is disabled and can be enabled again. Throws {@link IdentityRefused}. */
  async rotate(name: IdentityName, accessKeyId: string): Promise<NewAccessKey> {
    const replaced = await this.#accessKey(name, accessKeyId)
    const { created, accessKey } = await this.#draw(await this.#owner(name))
    await this.#store.transaction(async tx => {
      await requireRoom(tx, accessKey, name)
      await tx.insertAccessKey(accessKey)
      await tx.updateAccessKey({ ...replaced, active: false })
    })
    return created
  }

  async setActive(name: IdentityName, accessKeyId: string, active: boolean): Promise<void> {
    const accessKey = await this.#accessKey(name, accessKeyId)
    await this.#store.transaction(tx => tx.updateAccessKey({ ...accessKey, active }))
  }

  async remove(name: IdentityName, accessKeyId: string): Promise<void> {
    const accessKey = await this.#accessKey(name, accessKeyId)
    await this.#store.transaction(tx => tx.deleteAccessKey(accessKey))
  }

  async #draw({ principalId, account }: Identity): Promise<{ created: NewAccessKey; accessKey: AccessKey }> {
    const accessKeyId = newId(ACCESS_KEY_PREFIX, ACCESS_KEY_CHARACTERS)
    const { secret, sealed } = await this.#secrets.create({ accessKeyId, principalId, account })
    const created = { accessKeyId, secretAccessKey: secret.toString('ascii') }
    secret.fill(0)
    const accessKey = { id: accessKeyId, principalId, active: true, sealedSecret: sealed, createdAtMs: this.#clock() }
    return { created, accessKey }
  }

  async #owner({ account, kind, name }: IdentityName): Promise<Identity> {
    if (kind === 'role' || kind === 'group') throw new IdentityRefused(`a ${kind} has no access keys`)
    const identity = await this.#store.reader.findIdentity(account, kind, name)
    if (identity === undefined) throw new IdentityRefused(`there is no ${kind} ${name} in account ${account}`)
    return identity
  }

  async #accessKey(name: IdentityName, accessKeyId: string): Promise<AccessKey> {
    const { principalId } = await this.#owner(name)
    const accessKey = (await this.#store.reader.listAccessKeys(principalId)).find(({ id }) => id === accessKeyId)
    if (accessKey === undefined) throw new IdentityRefused(`${name.kind} ${name.name} has no access key ${accessKeyId}`)
    return accessKey
  }
}

async function requireRoom(tx: Transaction, { principalId }: AccessKey, { kind, name }: IdentityName): Promise<void> {
  if ((await tx.listAccessKeys(principalId)).length < ACCESS_KEYS_PER_IDENTITY) return
  throw new IdentityRefused(
    `${kind} ${name} has ${ACCESS_KEYS_PER_IDENTITY} access keys, as many as a ${kind} can have`,
  )
}
