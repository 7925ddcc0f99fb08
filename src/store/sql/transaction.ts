/** The writes of all aggregates in one transaction, which also notes what memory must forget afterwards. */
import type { Approval, ApprovalRequest, DualControl } from '../../model/dual-control.ts'
import type { Grant } from '../../model/grant.ts'
import type { AccessKey, AccessKeyUse, Account, Identity, ManagedPolicy } from '../../model/identity.ts'
import type { Alias, KeyMaterial, KmsKey, Tag } from '../../model/key.ts'
import type {
  CeremonyRecord,
  DaemonKey,
  Domain,
  ImportKey,
  KeyGrant,
  ResidentObject,
  StoredEkt,
  Transaction,
} from '../store.ts'
import { scopedName, type Touched } from '../touched.ts'
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
import * as keys from './keys.ts'
import * as policies from './managed-policies.ts'
import * as officers from './officers.ts'
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

  insertAccount(account: Account): Promise<void> {
    return accounts.insertAccount(this.db, account)
  }

  deleteAccount(id: string): Promise<void> {
    return accounts.deleteAccount(this.db, id)
  }

  insertIdentity(identity: Identity): Promise<void> {
    this.#touched.principals.add(identity.principalId)
    return identities.insertIdentity(this.db, identity)
  }

  updateIdentity(identity: Identity): Promise<void> {
    this.#touch(identity)
    return identities.updateIdentity(this.db, identity)
  }

  deleteIdentity(identity: Identity): Promise<void> {
    this.#touch(identity)
    return identities.deleteIdentity(this.db, identity)
  }

  insertManagedPolicy(policy: ManagedPolicy): Promise<void> {
    return policies.insertManagedPolicy(this.db, policy)
  }

  updateManagedPolicy(policy: ManagedPolicy): Promise<void> {
    this.#touched.everyPrincipal = true
    return policies.updateManagedPolicy(this.db, policy)
  }

  deleteManagedPolicy(policy: ManagedPolicy): Promise<void> {
    this.#touched.everyPrincipal = true
    return policies.deleteManagedPolicy(this.db, policy)
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

  putAccessKeyUse(use: AccessKeyUse): Promise<void> {
    return accessKeys.putAccessKeyUse(this.db, use)
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

  replaceEkt(old: StoredEkt, record: Buffer): Promise<boolean> {
    const key = ekts.keyTouchedBy(old)
    if (key !== undefined) this.#touched.keys.add(scopedName(key, key.keyId))
    return ekts.replaceEkt(this.db, old, record)
  }

  recordCeremony(record: CeremonyRecord): Promise<void> {
    return ceremonies.recordCeremony(this.db, record)
  }

  putDualControl(dualControl: DualControl): Promise<void> {
    return officers.putDualControl(this.db, dualControl)
  }

  insertApprovalRequest(request: ApprovalRequest): Promise<void> {
    return approvalRequests.insertApprovalRequest(this.db, request)
  }

  updateApprovalRequest(request: ApprovalRequest): Promise<void> {
    return approvalRequests.updateApprovalRequest(this.db, request)
  }

  insertApproval(requestId: string, approval: Approval): Promise<void> {
    return approvalRequests.insertApproval(this.db, requestId, approval)
  }

  /** A key's record names its aliases. */
  #touchAlias(alias: Alias): void {
    this.#touched.aliases.add(scopedName(alias, alias.name))
    this.#touched.keys.add(scopedName(alias, alias.keyId))
  }

  /** A group's policies are its users' too, whoever they are. */
  #touch({ kind, principalId }: Identity): void {
    this.#touched.principals.add(principalId)
    if (kind === 'group') this.#touched.everyPrincipal = true
  }
}
