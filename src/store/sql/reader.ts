/** The reads of all aggregates over one handle. */
import type { ApprovalRequest, DualControl } from '../../model/dual-control.ts'
import type {
  AccessKey,
  AccessKeyUse,
  Account,
  Identity,
  IdentityKind,
  ManagedPolicy,
  Principal,
} from '../../model/identity.ts'
import type { Alias, KmsKey, Tag } from '../../model/key.ts'
import type { KeySpec } from '../../model/key-specs.ts'
import type { KeyUse } from '../../model/key-use.ts'
import type {
  CeremonyRecord,
  DaemonKey,
  Domain,
  DoomedObject,
  ImportKey,
  KeyGrant,
  Page,
  Reader,
  ResidentObject,
  Scope,
  StoredEkt,
} from '../store.ts'
import * as accessKeys from './access-keys.ts'
import * as accounts from './accounts.ts'
import * as aliases from './aliases.ts'
import * as approvalRequests from './approval-requests.ts'
import * as ceremonies from './ceremonies.ts'
import * as domains from './domains.ts'
import * as ekts from './ekts.ts'
import * as grants from './grants.ts'
import * as identities from './identities.ts'
import * as importKeys from './import-keys.ts'
import * as keyCounts from './key-counts.ts'
import * as keyUses from './key-uses.ts'
import * as keys from './keys.ts'
import * as policies from './managed-policies.ts'
import * as officers from './officers.ts'
import * as principals from './principals.ts'
import * as residents from './resident-objects.ts'
import * as rowMacs from './row-macs.ts'
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

  listRegionsOfKey(account: string, keyId: string): Promise<string[]> {
    return keys.listRegionsOfKey(this.db, account, keyId)
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
    return keyCounts.countKeys(this.db, scope)
  }

  findKeyOwner(region: string, keyId: string): Promise<string | undefined> {
    return keys.findKeyOwner(this.db, region, keyId)
  }

  findKeyUse(scope: Scope, keyId: string): Promise<KeyUse | undefined> {
    return keyUses.findKeyUse(this.db, scope, keyId)
  }

  findTrackingStart(): Promise<number> {
    return keyUses.findTrackingStart(this.db)
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

  findGrant(grantId: string): Promise<KeyGrant | undefined> {
    return grants.findGrant(this.db, grantId)
  }

  listGrantsToRetire(region: string, retiring: string, page: Page): Promise<KeyGrant[]> {
    return grants.listGrantsToRetire(this.db, region, retiring, page)
  }

  findAccount(id: string): Promise<Account | undefined> {
    return accounts.findAccount(this.db, id)
  }

  listAccounts(): Promise<Account[]> {
    return accounts.listAccounts(this.db)
  }

  accountHasKeys(id: string): Promise<boolean> {
    return accounts.accountHasKeys(this.db, id)
  }

  findIdentity(account: string, kind: IdentityKind, name: string): Promise<Identity | undefined> {
    return principals.findIdentity(this.db, account, kind, name)
  }

  findService(name: string): Promise<Identity | undefined> {
    return principals.findService(this.db, name)
  }

  listIdentities(account: string, kind: IdentityKind): Promise<Identity[]> {
    return principals.listIdentities(this.db, account, kind)
  }

  findPrincipal(principalId: string): Promise<Principal | undefined> {
    return principals.findPrincipal(this.db, principalId)
  }

  listGroupMembers(group: Identity): Promise<string[]> {
    return identities.listGroupMembers(this.db, group.principalId)
  }

  findManagedPolicy(account: string, name: string): Promise<ManagedPolicy | undefined> {
    return policies.findManagedPolicy(this.db, account, name)
  }

  listManagedPolicies(account: string): Promise<ManagedPolicy[]> {
    return policies.listManagedPolicies(this.db, account)
  }

  listPolicyHolders(policy: ManagedPolicy): Promise<string[]> {
    return policies.listPolicyHolders(this.db, policy)
  }

  findAccessKey(accessKeyId: string): Promise<AccessKey | undefined> {
    return accessKeys.findAccessKey(this.db, accessKeyId)
  }

  listAccessKeys(principalId: string): Promise<AccessKey[]> {
    return accessKeys.listAccessKeys(this.db, principalId)
  }

  listAccessKeyUses(principalId: string): Promise<AccessKeyUse[]> {
    return accessKeys.listAccessKeyUses(this.db, principalId)
  }

  findDomain(region: string): Promise<Domain | undefined> {
    return domains.findDomain(this.db, region)
  }

  findStoredDomain(region: string): Promise<Domain | undefined> {
    return domains.findDomain(this.db, region)
  }

  findDaemonKey(purpose: string): Promise<DaemonKey | undefined> {
    return domains.findDaemonKey(this.db, purpose)
  }

  listEkts(region: string, dkVersion: number, after: StoredEkt | undefined, limit: number): Promise<StoredEkt[]> {
    return ekts.listEkts(this.db, region, dkVersion, after, limit)
  }

  listEktsOfSpecs(
    domain: string,
    specs: readonly KeySpec[],
    after: StoredEkt | undefined,
    limit: number,
  ): Promise<StoredEkt[]> {
    return ekts.listEktsOfSpecs(this.db, domain, specs, after, limit)
  }

  countEkts(region: string, dkVersion: number): Promise<number> {
    return ekts.countEkts(this.db, region, dkVersion)
  }

  countRowMacsBelow(region: string, macVersion: number): Promise<number> {
    return rowMacs.countMacsBelow(this.db, region, macVersion)
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
