/** The writes of all aggregates in one transaction, which also notes what memory must forget afterwards. */
import type { Grant } from '../../model/grant.ts'
import type { AccessKey, Identity } from '../../model/identity.ts'
import type { Alias, KmsKey, Tag } from '../../model/key.ts'
import type { DaemonKey, Domain, KeyGrant, Transaction } from '../store.ts'
import { scopedName, type Touched } from '../touched.ts'
import * as accessKeys from './access-keys.ts'
import * as aliases from './aliases.ts'
import * as domains from './domains.ts'
import * as grants from './grants.ts'
import * as identities from './identities.ts'
import * as keys from './keys.ts'
import { SqlReader } from './reader.ts'
import type { Handle } from './tables.ts'
import * as tags from './tags.ts'

export class SqlTransaction extends SqlReader implements Transaction {
  readonly #touched: Touched

  constructor(db: Handle, touched: Touched) {
    super(db)
    this.#touched = touched
  }

  insertKey(key: KmsKey): Promise<void> {
    this.#touched.keys.add(scopedName(key, key.id))
    return keys.insertKey(this.db, key)
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
  }

  insertAlias(alias: Alias): Promise<void> {
    this.#touchAlias(alias)
    return aliases.insertAlias(this.db, alias)
  }

  async updateAlias(alias: Alias): Promise<void> {
    const before = await aliases.findAlias(this.db, alias, alias.name)
    if (before !== undefined) this.#touchAlias(before)
    this.#touchAlias(alias)
    return aliases.updateAlias(this.db, alias)
  }

  deleteAlias(alias: Alias): Promise<void> {
    this.#touchAlias(alias)
    return aliases.deleteAlias(this.db, alias)
  }

  putTags(key: KmsKey, changed: readonly Tag[]): Promise<void> {
    this.#touched.keys.add(scopedName(key, key.id))
    return tags.putTags(this.db, key, changed)
  }

  deleteTags(key: KmsKey, tagKeys: readonly string[]): Promise<void> {
    this.#touched.keys.add(scopedName(key, key.id))
    return tags.deleteTags(this.db, key, tagKeys)
  }

  insertGrant(key: KmsKey, grant: Grant): Promise<void> {
    this.#touched.keys.add(scopedName(key, key.id))
    return grants.insertGrant(this.db, key, key.id, grant)
  }

  deleteGrant(found: KeyGrant): Promise<void> {
    this.#touched.keys.add(scopedName(found, found.keyId))
    return grants.deleteGrant(this.db, found.grant.id)
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

  insertDaemonKey(key: DaemonKey): Promise<void> {
    return domains.insertDaemonKey(this.db, key)
  }

  /** A key's record names its aliases. */
  #touchAlias(alias: Alias): void {
    this.#touched.aliases.add(scopedName(alias, alias.name))
    this.#touched.keys.add(scopedName(alias, alias.keyId))
  }
}
