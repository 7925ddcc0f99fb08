/** The writes of all aggregates in one transaction, which also notes what memory must forget afterwards. */
import type { Approval, ApprovalRequest, DualControl } from '../../model/dual-control.ts'
import type { AccessKey, Identity } from '../../model/identity.ts'
import type { Alias, KmsKey, Tag } from '../../model/key.ts'
import type { CeremonyRecord, DaemonKey, Domain, ResidentObject, StoredEkt, Transaction } from '../store.ts'
import { scopedName, type Touched } from '../touched.ts'
import * as accessKeys from './access-keys.ts'
import * as aliases from './aliases.ts'
import * as approvalRequests from './approval-requests.ts'
import * as ceremonies from './ceremonies.ts'
import * as domains from './domains.ts'
import * as ekts from './ekts.ts'
import * as identities from './identities.ts'
import * as keys from './keys.ts'
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
    for (const { ekt } of key.materials.values()) await residents.recordResident(this.db, key.region, ekt)
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
    for (const { ekt } of key.materials.values()) await residents.doomResident(this.db, key.region, ekt, nowMs)
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
}
