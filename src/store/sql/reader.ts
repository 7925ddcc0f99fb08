/** The reads of all aggregates over one handle. */
import type { ApprovalRequest, DualControl } from '../../model/dual-control.ts'
import type { AccessKey, Identity } from '../../model/identity.ts'
import type { Alias, KmsKey, Tag } from '../../model/key.ts'
import type {
  AccessKeyOwner,
  CeremonyRecord,
  DaemonKey,
  Domain,
  DoomedObject,
  Page,
  Reader,
  ResidentObject,
  Scope,
  StoredEkt,
} from '../store.ts'
import * as accessKeys from './access-keys.ts'
import * as aliases from './aliases.ts'
import * as approvalRequests from './approval-requests.ts'
import * as ceremonies from './ceremonies.ts'
import * as domains from './domains.ts'
import * as ekts from './ekts.ts'
import * as identities from './identities.ts'
import * as keys from './keys.ts'
import * as officers from './officers.ts'
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

  listKeysDueForDeletion(nowMs: number, limit: number): Promise<KmsKey[]> {
    return keys.listKeysDueForDeletion(this.db, nowMs, limit)
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

  listEkts(region: string, dkVersion: number, after: StoredEkt | undefined, limit: number): Promise<StoredEkt[]> {
    return ekts.listEkts(this.db, region, dkVersion, after, limit)
  }

  countEkts(region: string, dkVersion: number): Promise<number> {
    return ekts.countEkts(this.db, region, dkVersion)
  }

  listCeremonies(region: string): Promise<CeremonyRecord[]> {
    return ceremonies.listCeremonies(this.db, region)
  }

  findDualControl(): Promise<DualControl> {
    return officers.findDualControl(this.db)
  }

  findApprovalRequest(id: string): Promise<ApprovalRequest | undefined> {
    return approvalRequests.findApprovalRequest(this.db, id)
  }

  listApprovalRequests(states: readonly ApprovalRequest['state'][], limit: number): Promise<ApprovalRequest[]> {
    return approvalRequests.listApprovalRequests(this.db, states, limit)
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
