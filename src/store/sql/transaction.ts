/** The writes of all aggregates in one transaction, which also notes what memory must forget afterwards. */
import type { AccessKey, Identity } from '../../model/identity.ts'
import type { Alias, KeyMaterial, KmsKey, Tag } from '../../model/key.ts'
import type { DaemonKey, Domain, ImportKey, ResidentObject, Transaction } from '../store.ts'
import { scopedName, type Touched } from '../touched.ts'
import * as accessKeys from './access-keys.ts'
import * as aliases from './aliases.ts'
import * as domains from './domains.ts'
import * as identities from './identities.ts'
import * as importKeys from './import-keys.ts'
import * as keys from './keys.ts'
import { SqlReader } from './reader.ts'
import * as residents from './resident-objects.ts'
import type { Handle } from './tables.ts'
import * as tags from './tags.ts'

export class SqlTransaction extends SqlReader implements Transaction {
  readonly #touched: Touched

  constructor(db: Handle, touched: Touched) {
    super(db)
    this.#touched = touched
  }

  async insertKey(key: KmsKey): Promise<void> {
    this.#touched.keys.add(scopedName(key, key.id))
    await keys.insertKey(this.db, key)
    for (const { ekt } of key.materials.values()) if (ekt) await residents.recordResident(this.db, key.region, ekt)
  }

  async rotateKey(key: KmsKey, material: KeyMaterial): Promise<void> {
    this.#touched.keys.add(scopedName(key, key.id))
    await keys.rotateKey(this.db, key, material)
    if (material.ekt) await residents.recordResident(this.db, key.region, material.ekt)
  }

  async putMaterial(key: KmsKey, material: KeyMaterial): Promise<void> {
    await this.updateKey(key)
    await keys.putMaterial(this.db, key, material)
  }

  async deleteMaterial(key: KmsKey, materialId: string): Promise<void> {
    await this.updateKey(key)
    await keys.deleteMaterial(this.db, key, materialId)
  }

  insertImportKey(key: ImportKey): Promise<void> {
    return importKeys.insertImportKey(this.db, key)
  }

  countImportAttempt(key: ImportKey, change: 1 | -1): Promise<void> {
    return importKeys.countAttempt(this.db, key, change)
  }

  deleteImportKey(key: ImportKey): Promise<void> {
    return importKeys.deleteImportKey(this.db, key)
  }

  updateKey(key: KmsKey): Promise<void> {
    this.#touched.keys.add(scopedName(key, key.id))
    return keys.updateKey(this.db, key)
  }

  async deleteKey(key: KmsKey, nowMs: number): Promise<void> {
    this.#touched.keys.add(scopedName(key, key.id))
    for (const name of await aliases.listAliasNames(this.db, key, key.id)) {
      this.#touched.aliases.add(scopedName(key, name))
    }
    await keys.deleteKey(this.db, key, nowMs)
    for (const { ekt } of key.materials.values()) if (ekt) await residents.doomResident(this.db, key.region, ekt, nowMs)
  }

  insertAlias(alias: Alias): Promise<void> {
    this.#touched.aliases.add(scopedName(alias, alias.name))
    return aliases.insertAlias(this.db, alias)
  }

  updateAlias(alias: Alias): Promise<void> {
    this.#touched.aliases.add(scopedName(alias, alias.name))
    return aliases.updateAlias(this.db, alias)
  }

  deleteAlias(alias: Alias): Promise<void> {
    this.#touched.aliases.add(scopedName(alias, alias.name))
    return aliases.deleteAlias(this.db, alias)
  }

  putTags(key: KmsKey, changed: readonly Tag[]): Promise<void> {
    return tags.putTags(this.db, key, changed)
  }

  deleteTags(key: KmsKey, tagKeys: readonly string[]): Promise<void> {
    return tags.deleteTags(this.db, key, tagKeys)
  }

  insertAccount(account: string, nowMs: number): Promise<void> {
    return identities.insertAccount(this.db, account, nowMs)
  }

  insertIdentity(identity: Identity): Promise<void> {
    return identities.insertIdentity(this.db, identity)
  }

  deleteIdentity(identity: Identity): Promise<void> {
    this.#touched.principals.add(identity.principalId)
    return identities.deleteIdentity(this.db, identity)
  }

  putIdentityPolicy(identity: Identity, name: string, document: string): Promise<void> {
    this.#touched.principals.add(identity.principalId)
    return identities.putIdentityPolicy(this.db, identity, name, document)
  }

  deleteIdentityPolicy(identity: Identity, name: string): Promise<void> {
    this.#touched.principals.add(identity.principalId)
    return identities.deleteIdentityPolicy(this.db, identity, name)
  }

  insertAccessKey(accessKey: AccessKey): Promise<void> {
    this.#touched.accessKeys.add(accessKey.id)
    return accessKeys.insertAccessKey(this.db, accessKey)
  }

  updateAccessKey(accessKey: AccessKey): Promise<void> {
    this.#touched.accessKeys.add(accessKey.id)
    return accessKeys.updateAccessKey(this.db, accessKey)
  }

  deleteAccessKey(accessKey: AccessKey): Promise<void> {
    this.#touched.accessKeys.add(accessKey.id)
    return accessKeys.deleteAccessKey(this.db, accessKey)
  }

  putDomain(domain: Domain): Promise<void> {
    return domains.putDomain(this.db, domain)
  }

  async insertDaemonKey(key: DaemonKey): Promise<void> {
    await domains.insertDaemonKey(this.db, key)
    await residents.recordResident(this.db, key.region, key.ekt)
  }

  insertResidentObject(object: ResidentObject): Promise<void> {
    return residents.insertResidentObject(this.db, object)
  }

  deleteResidentObject(object: ResidentObject): Promise<void> {
    return residents.deleteResidentObject(this.db, object)
  }
}
