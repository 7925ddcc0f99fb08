/** The writes of all aggregates in one transaction, which also notes what memory must forget, and whose MACs change. */
import type { Approval, ApprovalRequest, DualControl } from '../../model/dual-control.ts'
import type { Grant } from '../../model/grant.ts'
import type { AccessKey, AccessKeyUse, Account, Identity, ManagedPolicy } from '../../model/identity.ts'
import type { Alias, Ekt, KeyMaterial, KmsKey, Tag } from '../../model/key.ts'
import type { KeyUse } from '../../model/key-use.ts'
import type { CeremonyRecord, Domain } from '../domain.ts'
import type { DaemonKey, ImportKey, KeyGrant, Page, ResidentObject, Scope, StoredEkt } from '../records.ts'
import type { RowChanges } from '../row-changes.ts'
import type { AliasTarget, ErasedKey, Transaction } from '../store.ts'
import type { StoredEvent } from '../stored-audit.ts'
import { scopedName, type Touched } from '../touched.ts'
import * as accessKeys from './access-keys.ts'
import * as accounts from './accounts.ts'
import { type RowName, rowName } from './aggregates.ts'
import * as aliases from './aliases.ts'
import * as approvalRequests from './approval-requests.ts'
import * as audit from './audit.ts'
import * as ceremonies from './ceremonies.ts'
import { DecidingReader, type Listed } from './deciding-reader.ts'
import * as domains from './domains.ts'
import * as ekts from './ekts.ts'
import * as grants from './grants.ts'
import * as identities from './identities.ts'
import * as importKeys from './import-keys.ts'
import * as keyUses from './key-uses.ts'
import * as keys from './keys.ts'
import * as policies from './managed-policies.ts'
import * as officers from './officers.ts'
import { SqlReader } from './reader.ts'
import * as residents from './resident-objects.ts'
import type { Handle } from './tables.ts'
import * as tags from './tags.ts'
import * as tombstones from './tombstones.ts'

export class SqlTransaction extends DecidingReader implements Transaction {
  readonly #touched: Touched
  readonly #changes: RowChanges

  constructor(db: Handle, touched: Touched, changes: RowChanges) {
    super(db)
    this.#touched = touched
    this.#changes = changes
  }

  async insertKey(key: KmsKey): Promise<void> {
    await this.#willChangeKey(key, key.id)
    await keys.insertKey(this.db, key)
    for (const { ekt } of key.materials.values()) if (ekt) await residents.recordResident(this.db, key.region, ekt)
  }

  async rotateKey(key: KmsKey, material: KeyMaterial): Promise<void> {
    await this.#willChangeKey(key, key.id)
    await keys.rotateKey(this.db, key, material)
    if (material.ekt) await residents.recordResident(this.db, key.region, material.ekt)
  }

  async putMaterial(key: KmsKey, material: KeyMaterial): Promise<void> {
    const before = await this.#ektOf(key, material.id)
    await this.updateKey(key)
    await keys.putMaterial(this.db, key, material)
    if (before !== undefined && material.ekt === undefined) this.#touched.removedEkts = true
    await this.#moveResidence(key, before, material.ekt, material.createdAtMs)
  }

  async deleteMaterial(key: KmsKey, materialId: string): Promise<void> {
    const before = await this.#ektOf(key, materialId)
    await this.updateKey(key)
    await keys.deleteMaterial(this.db, key, materialId)
    this.#touched.removedEkts = true
    await this.#moveResidence(key, before, undefined, Date.now())
  }

  doomResidentObject(region: string, ekt: Ekt, nowMs: number): Promise<void> {
    return residents.doomResident(this.db, region, ekt, nowMs)
  }

  insertImportKey(key: ImportKey): Promise<void> {
    return importKeys.insertImportKey(this.db, key)
  }

  countImportAttempt(key: ImportKey, change: 1 | -1): Promise<void> {
    return importKeys.countAttempt(this.db, key, change)
  }

  deleteImportKey(key: ImportKey): Promise<void> {
    this.#touched.removedEkts = true
    return importKeys.deleteImportKey(this.db, key)
  }

  async updateKey(key: KmsKey): Promise<void> {
    await this.#willChangeKey(key, key.id)
    return keys.updateKey(this.db, key)
  }

  async deleteKey(key: KmsKey, nowMs: number): Promise<void> {
    await this.#willChangeKey(key, key.id)
    for (const name of await aliases.listAliasNames(this.db, key, key.id)) {
      this.#touched.aliases.add(scopedName(key, name))
      await this.#changes.willWrite(rowName('aliases', key.region, key.account, name))
    }
    await keys.deleteKey(this.db, key, nowMs)
    this.#touched.removedEkts = true
    for (const { ekt } of key.materials.values()) if (ekt) await residents.doomResident(this.db, key.region, ekt, nowMs)
  }

  eraseKeys(domain: string, oldest: number, nowMs: number, limit: number): Promise<ErasedKey[]> {
    return tombstones.eraseKeys(this.db, domain, oldest, nowMs, limit)
  }

  putKeyUses(uses: readonly KeyUse[]): Promise<void> {
    return keyUses.putKeyUses(this.db, uses)
  }

  async insertAlias(alias: Alias): Promise<void> {
    await this.#willChangeAlias(alias)
    return aliases.insertAlias(this.db, alias)
  }

  async updateAlias(alias: Alias, target: AliasTarget): Promise<void> {
    await this.#willChangeAlias({ ...alias, ...target })
    return aliases.updateAlias(this.db, alias, target)
  }

  async deleteAlias(alias: Alias): Promise<void> {
    await this.#willChangeAlias(alias)
    return aliases.deleteAlias(this.db, alias)
  }

  async putTags(key: KmsKey, changed: readonly Tag[]): Promise<void> {
    await this.#willChangeKey(key, key.id)
    return tags.putTags(this.db, key, changed)
  }

  async deleteTags(key: KmsKey, tagKeys: readonly string[]): Promise<void> {
    await this.#willChangeKey(key, key.id)
    return tags.deleteTags(this.db, key, tagKeys)
  }

  async insertGrant(key: KmsKey, grant: Grant): Promise<void> {
    await this.#willChangeKey(key, key.id)
    return grants.insertGrant(this.db, key, key.id, grant)
  }

  async deleteGrant(found: KeyGrant): Promise<void> {
    await this.#willChangeKey(found, found.keyId)
    return grants.deleteGrant(this.db, found.grant.id)
  }

  async insertAccount(account: Account): Promise<void> {
    await this.#changes.willWrite(rowName('accounts', account.id))
    return accounts.insertAccount(this.db, account)
  }

  async deleteAccount(id: string): Promise<void> {
    await this.#changes.willWrite(rowName('accounts', id))
    return accounts.deleteAccount(this.db, id)
  }

  async insertIdentity(identity: Identity): Promise<void> {
    this.#touched.principals.add(identity.principalId)
    await this.#changes.willWrite(rowName('identities', identity.principalId))
    return identities.insertIdentity(this.db, identity)
  }

  async updateIdentity(identity: Identity): Promise<void> {
    this.#touch(identity)
    await this.#changes.willWrite(rowName('identities', identity.principalId))
    return identities.updateIdentity(this.db, identity)
  }

  async deleteIdentity(identity: Identity): Promise<void> {
    const { principalId } = identity
    this.#touch(identity)
    await this.#changes.willWrite(rowName('identities', principalId))
    for (const { id } of await accessKeys.listAccessKeys(this.db, principalId))
      await this.#changes.willWrite(rowName('access_keys', id))
    return identities.deleteIdentity(this.db, identity)
  }

  async insertManagedPolicy(policy: ManagedPolicy): Promise<void> {
    await this.#changes.willWrite(rowName('managed_policies', policy.id))
    return policies.insertManagedPolicy(this.db, policy)
  }

  async updateManagedPolicy(policy: ManagedPolicy): Promise<void> {
    this.#touched.everyPrincipal = true
    await this.#changes.willWrite(rowName('managed_policies', policy.id))
    return policies.updateManagedPolicy(this.db, policy)
  }

  async deleteManagedPolicy(policy: ManagedPolicy): Promise<void> {
    this.#touched.everyPrincipal = true
    await this.#changes.willWrite(rowName('managed_policies', policy.id))
    return policies.deleteManagedPolicy(this.db, policy)
  }

  async insertAccessKey(accessKey: AccessKey): Promise<void> {
    await this.#willChangeAccessKey(accessKey)
    return accessKeys.insertAccessKey(this.db, accessKey)
  }

  async updateAccessKey(accessKey: AccessKey): Promise<void> {
    await this.#willChangeAccessKey(accessKey)
    return accessKeys.updateAccessKey(this.db, accessKey)
  }

  async deleteAccessKey(accessKey: AccessKey): Promise<void> {
    await this.#willChangeAccessKey(accessKey)
    return accessKeys.deleteAccessKey(this.db, accessKey)
  }

  putAccessKeyUse(use: AccessKeyUse): Promise<void> {
    return accessKeys.putAccessKeyUse(this.db, use)
  }

  async putDomain(domain: Domain): Promise<void> {
    await this.#changes.willWrite(rowName('domains', domain.region))
    return domains.putDomain(this.db, domain)
  }

  putUnsignedDomain(domain: Domain): Promise<void> {
    return domains.putDomain(this.db, domain)
  }

  adoptDomain(region: string): Promise<void> {
    return this.#changes.adopt(rowName('domains', region))
  }

  async insertDaemonKey(key: DaemonKey): Promise<void> {
    await this.#changes.willWrite(rowName('daemon_keys', key.purpose))
    await domains.insertDaemonKey(this.db, key)
    await residents.recordResident(this.db, key.region, key.ekt)
  }

  insertResidentObject(object: ResidentObject): Promise<void> {
    return residents.insertResidentObject(this.db, object)
  }

  deleteResidentObject(object: ResidentObject): Promise<void> {
    return residents.deleteResidentObject(this.db, object)
  }

  async replaceEkt(old: StoredEkt, record: Buffer): Promise<boolean> {
    const owner = ekts.ownerOf(old)
    if (owner !== undefined && 'keyId' in owner) await this.#willChangeKey(owner, owner.keyId)
    else if (owner !== undefined) await this.#changes.willWrite(rowName('daemon_keys', owner.purpose))
    return ekts.replaceEkt(this.db, old, record)
  }

  recordCeremony(record: CeremonyRecord): Promise<void> {
    return ceremonies.recordCeremony(this.db, record)
  }

  putPendingEvent(event: StoredEvent): Promise<void> {
    return audit.putPendingEvent(this.db, event)
  }

  async putDualControl(dualControl: DualControl): Promise<void> {
    await this.#changes.willWrite(rowName('dual_control', officers.DUAL_CONTROL_ID))
    return officers.putDualControl(this.db, dualControl)
  }

  async insertApprovalRequest(request: ApprovalRequest): Promise<void> {
    await this.#changes.willWrite(rowName('approval_requests', request.id))
    return approvalRequests.insertApprovalRequest(this.db, request)
  }

  async updateApprovalRequest(request: ApprovalRequest): Promise<void> {
    await this.#changes.willWrite(rowName('approval_requests', request.id))
    return approvalRequests.updateApprovalRequest(this.db, request)
  }

  async insertApproval(requestId: string, approval: Approval): Promise<void> {
    await this.#changes.willWrite(rowName('approval_requests', requestId))
    return approvalRequests.insertApproval(this.db, requestId, approval)
  }

  protected override async checked<T>(
    find: (reader: SqlReader) => Promise<T | undefined>,
    madeOf: (record: T, db: Handle) => readonly RowName[] | Promise<readonly RowName[]>,
  ): Promise<T | undefined> {
    const found = await find(new SqlReader(this.db))
    if (found !== undefined) await this.#changes.reliesOn(...(await madeOf(found, this.db)))
    return found
  }

  /** What a change is decided upon must be genuine: one record that is not refuses the transaction. */
  protected override async checkedAll<T>(
    list: (reader: SqlReader) => Promise<T[]>,
    madeOf: (item: T) => readonly RowName[],
  ): Promise<T[]> {
    const items = await list(new SqlReader(this.db))
    for (const item of items) await this.#changes.reliesOn(...madeOf(item))
    return items
  }

  protected override checkedPage<T>(
    page: Page,
    list: (reader: SqlReader, page: Page) => Promise<T[]>,
    { madeOf }: Listed<T>,
  ): Promise<T[]> {
    return this.checkedAll(reader => list(reader, page), madeOf)
  }

  async #willChangeKey(scope: Scope, keyId: string): Promise<void> {
    this.#touched.keys.add(scopedName(scope, keyId))
    await this.#changes.willWrite(rowName('keys', scope.region, scope.account, keyId))
  }

  /** The record of a key names its aliases: that of the key that it named before changes too. */
  async #willChangeAlias(alias: Alias): Promise<void> {
    const { region, account, name, keyId } = alias
    this.#touched.aliases.add(scopedName(alias, name))
    const before = await aliases.findAlias(this.db, alias, name)
    for (const id of new Set([keyId, before?.keyId ?? keyId])) await this.#willChangeKey(alias, id)
    await this.#changes.willWrite(rowName('aliases', region, account, name))
  }

  /** The record of an identity holds its access keys. */
  async #willChangeAccessKey({ id, principalId }: AccessKey): Promise<void> {
    this.#touched.accessKeys.add(id)
    await this.#changes.willWrite(rowName('access_keys', id), rowName('identities', principalId))
  }

  /** A group's policies are its users' too, whoever they are. */
  #touch({ kind, principalId }: Identity): void {
    this.#touched.principals.add(principalId)
    if (kind === 'group') this.#touched.everyPrincipal = true
  }

  async #ektOf(key: KmsKey, materialId: string): Promise<Ekt | undefined> {
    return (await keys.findKey(this.db, key, key.id))?.materials.get(materialId)?.ekt
  }

  /** The object that a stored record names is the key's from here on, and that of the record before it is nobody's. */
  async #moveResidence({ region }: KmsKey, before: Ekt | undefined, after: Ekt | undefined, nowMs: number) {
    if (before !== undefined && after?.digest.equals(before.digest)) return
    if (after !== undefined) await residents.recordResident(this.db, region, after)
    if (before !== undefined) await residents.doomResident(this.db, region, before, nowMs)
  }
}
