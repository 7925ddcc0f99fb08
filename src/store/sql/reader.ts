/** The reads of all aggregates over one handle. */
import type { AccessKey, Identity } from '../../model/identity.ts'
import type { Alias, KmsKey, Tag } from '../../model/key.ts'
import type {
  AccessKeyOwner,
  DaemonKey,
  Domain,
  DoomedObject,
  ImportKey,
  Page,
  Reader,
  ResidentObject,
  Scope,
} from '../store.ts'
import * as accessKeys from './access-keys.ts'
import * as aliases from './aliases.ts'
import * as domains from './domains.ts'
import * as identities from './identities.ts'
import * as importKeys from './import-keys.ts'
import * as keys from './keys.ts'
import * as residents from './resident-objects.ts'
import type { Handle } from './tables.ts'
import * as tags from './tags.ts'

export class SqlReader implements Reader {
  protected readonly db: Handle

  constructor(db: Handle) {
    this.db = db
  }

  findKey(scope: Scope, keyId: string): Promise<KmsKey | undefined> {
    return keys.findKey(this.db, scope, keyId)
  }

  listKeyIds(scope: Scope, page: Page): Promise<string[]> {
    return keys.listKeyIds(this.db, scope, page)
  }

  listKeysDueForRotation(nowMs: number, limit: number): Promise<KmsKey[]> {
    return keys.listKeysDueForRotation(this.db, nowMs, limit)
  }

  listKeysDueForDeletion(nowMs: number, limit: number): Promise<KmsKey[]> {
    return keys.listKeysDueForDeletion(this.db, nowMs, limit)
  }

  listKeysWithExpiredMaterial(nowMs: number, limit: number): Promise<KmsKey[]> {
    return keys.listKeysWithExpiredMaterial(this.db, nowMs, limit)
  }

  findImportKey(scope: Scope, keyId: string, importId: Buffer): Promise<ImportKey | undefined> {
    return importKeys.findImportKey(this.db, scope, keyId, importId)
  }

  listDueImportKeys(nowMs: number, limit: number): Promise<ImportKey[]> {
    return importKeys.listDueImportKeys(this.db, nowMs, limit)
  }

  countImportKeys(scope: Scope, keyId: string): Promise<number> {
    return importKeys.countImportKeys(this.db, scope, keyId)
  }

  countKeys(scope: Scope): Promise<number> {
    return keys.countKeys(this.db, scope)
  }

  findAlias(scope: Scope, name: string): Promise<Alias | undefined> {
    return aliases.findAlias(this.db, scope, name)
  }

  listAliases(scope: Scope, keyId: string | undefined, page: Page): Promise<Alias[]> {
    return aliases.listAliases(this.db, scope, keyId, page)
  }

  countAliases(scope: Scope, keyId: string): Promise<number> {
    return aliases.countAliases(this.db, scope, keyId)
  }

  listTags(scope: Scope, keyId: string, page: Page): Promise<Tag[]> {
    return tags.listTags(this.db, scope, keyId, page)
  }

  accountExists(account: string): Promise<boolean> {
    return identities.accountExists(this.db, account)
  }

  findIdentity(account: string, name: string): Promise<Identity | undefined> {
    return identities.findIdentity(this.db, account, name)
  }

  listIdentities(account: string): Promise<Identity[]> {
    return identities.listIdentities(this.db, account)
  }

  findAccessKey(accessKeyId: string): Promise<AccessKeyOwner | undefined> {
    return accessKeys.findAccessKey(this.db, accessKeyId)
  }

  listAccessKeys(principalId: string): Promise<AccessKey[]> {
    return accessKeys.listAccessKeys(this.db, principalId)
  }

  findDomain(region: string): Promise<Domain | undefined> {
    return domains.findDomain(this.db, region)
  }

  findDaemonKey(purpose: string): Promise<DaemonKey | undefined> {
    return domains.findDaemonKey(this.db, purpose)
  }

  listResidentObjects(region: string): Promise<ResidentObject[]> {
    return residents.listResidentObjects(this.db, region)
  }

  countResidentObjects(region: string): Promise<Map<string, number>> {
    return residents.countResidentObjects(this.db, region)
  }

  listDoomedObjects(): Promise<DoomedObject[]> {
    return residents.listDoomedObjects(this.db)
  }
}
