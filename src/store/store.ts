/**
 * The key store as everybody else sees it: a Reader, a Transaction that also writes, and the hot reads that memory
 * answers. An acknowledged transaction is on disk. No SQL and no row type leaves this folder.
 */
import type { Approval, ApprovalRequest, DualControl } from '../model/dual-control.ts'
import type { Grant } from '../model/grant.ts'
import type {
  AccessKey,
  AccessKeyUse,
  Account,
  Identity,
  IdentityKind,
  ManagedPolicy,
  Principal,
} from '../model/identity.ts'
import type { Alias, Ekt, KeyMaterial, KmsKey, Tag } from '../model/key.ts'
import type { KeySpec } from '../model/key-specs.ts'
import type { KeyUse } from '../model/key-use.ts'
import type { CeremonyRecord, Domain } from './domain.ts'
import type { DaemonKey, DoomedObject, ImportKey, KeyGrant, Page, ResidentObject, Scope, StoredEkt } from './records.ts'
import type { StoredAudit, StoredEvent } from './stored-audit.ts'
import type { StoredRowMacs } from './stored-row-macs.ts'

export interface Reader {
  findKey(scope: Scope, keyId: string): Promise<KmsKey | undefined>
  /** The regions that hold a multi-Region key, in ascending order. */
  listRegionsOfKey(account: string, keyId: string): Promise<string[]>
  /** Key ids in ascending order. */
  listKeyIds(scope: Scope, page: Page): Promise<string[]>
  /** Enabled keys of every account and region whose rotation is due, the longest overdue first. */
  listKeysDueForRotation(nowMs: number, limit: number): Promise<KmsKey[]>
  /**
   * Keys of every account and region with imported material that has expired, those with the oldest first; fewer than `limit`
   * when one of them has several.
   */
  listKeysWithExpiredMaterial(nowMs: number, limit: number): Promise<KmsKey[]>
  findImportKey(scope: Scope, keyId: string, importId: Buffer): Promise<ImportKey | undefined>
  /** Wrapping keys of every account and region that have ended, the oldest first. */
  listDueImportKeys(nowMs: number, limit: number): Promise<ImportKey[]>
  countImportKeys(scope: Scope, keyId: string): Promise<number>
  /** Keys of every account and region whose deletion is due, the longest overdue first. */
  listKeysDueForDeletion(nowMs: number, limit: number): Promise<KmsKey[]>
  /** Those that callers made, in whatever state: keys of services are not counted. */
  countKeys(scope: Scope): Promise<number>
  /** The account that a key of this id belongs to. */
  findKeyOwner(region: string, keyId: string): Promise<string | undefined>

  /** The newest use that was written down. */
  findKeyUse(scope: Scope, keyId: string): Promise<KeyUse | undefined>
  /** Since when uses of keys are written down, in milliseconds. */
  findTrackingStart(): Promise<number>

  findAlias(scope: Scope, name: string): Promise<Alias | undefined>
  /** By name in ascending order; of one key when `keyId` is given. */
  listAliases(scope: Scope, keyId: string | undefined, page: Page): Promise<Alias[]>
  countAliases(scope: Scope, keyId: string): Promise<number>

  /** By tag key in ascending order. */
  listTags(scope: Scope, keyId: string, page: Page): Promise<Tag[]>

  findGrant(grantId: string): Promise<KeyGrant | undefined>
  /** Grants of this retiring principal on keys of every account in the region, by id in ascending order. */
  listGrantsToRetire(region: string, retiring: string, page: Page): Promise<KeyGrant[]>

  findAccount(id: string): Promise<Account | undefined>
  /** By id. */
  listAccounts(): Promise<Account[]>
  /** In any region. */
  accountHasKeys(id: string): Promise<boolean>
  findIdentity(account: string, kind: IdentityKind, name: string): Promise<Identity | undefined>
  /** A service of whatever account: its name is nobody else's. */
  findService(name: string): Promise<Identity | undefined>
  /** Of one kind, by name. */
  listIdentities(account: string, kind: IdentityKind): Promise<Identity[]>
  /** An identity with the documents that speak for or against it. */
  findPrincipal(principalId: string): Promise<Principal | undefined>
  /** Names of a group's users, in ascending order. */
  listGroupMembers(group: Identity): Promise<string[]>
  findManagedPolicy(account: string, name: string): Promise<ManagedPolicy | undefined>
  /** By name. */
  listManagedPolicies(account: string): Promise<ManagedPolicy[]>
  /** Identities that it is attached to or that it is the boundary of, as `<kind> <name>`. */
  listPolicyHolders(policy: ManagedPolicy): Promise<string[]>
  findAccessKey(accessKeyId: string): Promise<AccessKey | undefined>
  /** The oldest first. */
  listAccessKeys(principalId: string): Promise<AccessKey[]>
  /** Of the access keys of one identity, those that were ever used. */
  listAccessKeyUses(principalId: string): Promise<AccessKeyUse[]>

  /** By its region, or MULTI_REGION_DOMAIN. */
  findDomain(region: string): Promise<Domain | undefined>
  /** The same as it stands, whether or not its MAC is good: only who has been told of a domain reaches the tokens that can tell. */
  findStoredDomain(region: string): Promise<Domain | undefined>
  /** The EKT record of the daemon's own HBK of a purpose, such as `identity`. */
  findDaemonKey(purpose: string): Promise<DaemonKey | undefined>
  /**
   * EKT records of a domain, by its region or MULTI_REGION_DOMAIN, under a version, of every table that holds any, in a fixed
   * order; `after` is the last of the batch before.
   */
  listEkts(domain: string, dkVersion: number, after: StoredEkt | undefined, limit: number): Promise<StoredEkt[]>
  countEkts(domain: string, dkVersion: number): Promise<number>
  /** Those of keys of these specs, under whichever version, in the same order. */
  listEktsOfSpecs(
    domain: string,
    specs: readonly KeySpec[],
    after: StoredEkt | undefined,
    limit: number,
  ): Promise<StoredEkt[]>
  /** MACs of records that the domain of a region made under versions below this one. */
  countRowMacsBelow(region: string, macVersion: number): Promise<number>
  /** The newest last. */
  listCeremonies(region: string): Promise<CeremonyRecord[]>

  /** Off, without officers, where nothing is stored. */
  findDualControl(): Promise<DualControl>
  findApprovalRequest(id: string): Promise<ApprovalRequest | undefined>
  /** The newest first. */
  listApprovalRequests(states: readonly ApprovalRequest['state'][], limit: number): Promise<ApprovalRequest[]>

  listResidentObjects(region: string): Promise<ResidentObject[]>
  /** Objects of each token of a region, in whatever state, by serial. */
  countResidentObjects(region: string): Promise<Map<string, number>>
  /** What tokens of any region are still to destroy. */
  listDoomedObjects(): Promise<DoomedObject[]>
}

/** What an alias is pointed to, and when. */
export type AliasTarget = Pick<Alias, 'keyId' | 'updatedAtMs'>

export interface Transaction extends Reader {
  /**
   * Its tags, aliases and grants are written by themselves. Throws {@link VersionSwept} when a material is under a domain key
   * version that a rotation has left behind. Resident HBKs become `ready` with it; their objects must have been inserted as
   * `creating`.
   */
  insertKey(key: KmsKey): Promise<void>
  /** Writes the key as `updateKey` does, and `material` as its current one, new or pending before; the others stay. */
  rotateKey(key: KmsKey, material: KeyMaterial): Promise<void>
  /** Writes the key as `updateKey` does, and one material as it is, over one of the same id. */
  putMaterial(key: KmsKey, material: KeyMaterial): Promise<void>
  /** Writes the key as `updateKey` does, and removes one material. */
  deleteMaterial(key: KmsKey, materialId: string): Promise<void>

  /** Throws {@link VersionSwept} as `insertKey` does. */
  insertImportKey(key: ImportKey): Promise<void>
  /** Counts an attempt, or takes one back. */
  countImportAttempt(key: ImportKey, change: 1 | -1): Promise<void>
  deleteImportKey(key: ImportKey): Promise<void>

  /**
   * Writes state, description, policy, deletion, rotation and the primary's region; `generation` must be one above the stored
   * one, or it throws.
   */
  updateKey(key: KmsKey): Promise<void>
  /**
   * Removes the key, its EKT records, aliases, tags and grants, and leaves a tombstone; resident HBKs are then to be destroyed.
   */
  deleteKey(key: KmsKey, nowMs: number): Promise<void>
  /**
   * Marks deleted keys as erased: those that no version of the domain from `oldest` on can open, in whatever copy. Returns them,
   * `limit` at most, each once.
   */
  eraseKeys(domain: string, oldest: number, nowMs: number, limit: number): Promise<ErasedKey[]>

  /** The object that a record names, if any, is to be destroyed: no key has it. */
  doomResidentObject(region: string, ekt: Ekt, nowMs: number): Promise<void>

  /** Of each key the newest use stays, whichever is written last; keys that are gone are passed over. */
  putKeyUses(uses: readonly KeyUse[]): Promise<void>

  insertAlias(alias: Alias): Promise<void>
  /** Throws when the alias no longer means the key that it was read with, whose permission was asked for. */
  updateAlias(alias: Alias, target: AliasTarget): Promise<void>
  /** Throws as `updateAlias` does. */
  deleteAlias(alias: Alias): Promise<void>

  putTags(key: KmsKey, tags: readonly Tag[]): Promise<void>
  deleteTags(key: KmsKey, tagKeys: readonly string[]): Promise<void>

  insertGrant(key: KmsKey, grant: Grant): Promise<void>
  deleteGrant(found: KeyGrant): Promise<void>

  insertAccount(account: Account): Promise<void>
  /** The account must be empty. */
  deleteAccount(id: string): Promise<void>
  insertIdentity(identity: Identity): Promise<void>
  /** Writes all of it but kind, name and account; `generation` must be one above the stored one, or it throws. */
  updateIdentity(identity: Identity): Promise<void>
  /** Removes an identity with its policies and access keys. */
  deleteIdentity(identity: Identity): Promise<void>
  insertManagedPolicy(policy: ManagedPolicy): Promise<void>
  /** Writes description and versions; `generation` must be one above the stored one, or it throws. */
  updateManagedPolicy(policy: ManagedPolicy): Promise<void>
  /** Nothing may be attached to it. */
  deleteManagedPolicy(policy: ManagedPolicy): Promise<void>
  insertAccessKey(accessKey: AccessKey): Promise<void>
  updateAccessKey(accessKey: AccessKey): Promise<void>
  deleteAccessKey(accessKey: AccessKey): Promise<void>
  putAccessKeyUse(use: AccessKeyUse): Promise<void>

  /** Writes a domain with its versions and tokens; `generation` must be one above the stored one, or it throws. */
  putDomain(domain: Domain): Promise<void>
  /** The same without a MAC, where no token can make one yet; it is refused until {@link adoptDomain}. */
  putUnsignedDomain(domain: Domain): Promise<void>
  /** Signs the row of a domain as it stands, whatever its MAC. */
  adoptDomain(region: string): Promise<void>
  /** A resident HBK becomes `ready` with it. */
  insertDaemonKey(key: DaemonKey): Promise<void>
  /** Puts a re-wrapped record in the place of the one that was read. False when that one is no longer there. */
  replaceEkt(old: StoredEkt, record: Buffer): Promise<boolean>
  recordCeremony(record: CeremonyRecord): Promise<void>
  /** Leaves an event for the audit log, which a daemon chains; one of the same id stays as it is. */
  putPendingEvent(event: StoredEvent): Promise<void>

  /** Writes threshold and officers, whatever was there; `generation` must be one above the stored one, or it throws. */
  putDualControl(dualControl: DualControl): Promise<void>
  insertApprovalRequest(request: ApprovalRequest): Promise<void>
  /** Writes state and which approvals counted; `generation` must be one above the stored one, or it throws. */
  updateApprovalRequest(request: ApprovalRequest): Promise<void>
  /** One for each key and request. */
  insertApproval(requestId: string, approval: Approval): Promise<void>

  insertResidentObject(object: ResidentObject): Promise<void>
  /** Removes a row that has the given state still, or throws. */
  deleteResidentObject(object: ResidentObject): Promise<void>
}

/**
 * Reads that memory answers once they have been made: a value when it is held, a promise when the database must be asked
 * first. Entries go when a transaction of this process touches them, and all of them when another process has written.
 */
export interface HotReader {
  key(scope: Scope, keyId: string): KmsKey | undefined | Promise<KmsKey | undefined>
  /** The account that a key of this id belongs to. */
  keyOwner(region: string, keyId: string): string | undefined | Promise<string | undefined>
  alias(scope: Scope, name: string): Alias | undefined | Promise<Alias | undefined>
  accessKey(accessKeyId: string): AccessKey | undefined | Promise<AccessKey | undefined>
  principal(principalId: string): Principal | undefined | Promise<Principal | undefined>
  managedPolicy(account: string, name: string): ManagedPolicy | undefined | Promise<ManagedPolicy | undefined>
  /** Database reads made so far, for the metric that shows the hot path makes none. */
  readonly databaseReads: number
  /** Reads that memory answered so far. */
  readonly hits: number
  readonly size: number
}

/** How old what memory answers from is, as to the changes of other processes. */
export interface StoreView {
  /** Time since it was last known to be current, in milliseconds. */
  readonly ageMs: number
  /** Why nothing is answered; undefined when it is. */
  readonly obstacle: string | undefined
  /** Throws StoreStale when it is too old and a look does not renew it: then nothing may be answered. */
  requireCurrent(): void
}

/** What a look at the whole store found wrong with one of its records, or with a part of it. */
export interface CheckFinding {
  readonly table: string
  readonly primaryKey: string
  readonly reason: string
}

/** A look at the whole store, after some of its records: how far it has come, and what it found since the step before. */
export interface CheckStep {
  readonly done: number
  readonly total: number
  readonly found: readonly CheckFinding[]
}

/** What a transaction has written, as the other processes of the daemon are told of it. */
export interface StoreChange {
  /** Counts the transactions of the store; undefined for one that may not have been committed. */
  readonly number: number | undefined
  readonly keys: readonly string[]
  readonly aliases: readonly string[]
  readonly accessKeys: readonly string[]
  readonly principals: readonly string[]
  readonly everyPrincipal: boolean
}

/** The other processes of a daemon that work with the same store. */
export interface StoreSiblings {
  /** Resolves when none of them answers any more from what the change has replaced. */
  changed(change: StoreChange): Promise<void>
}

/** A deleted key whose material no copy gives back. */
export interface ErasedKey {
  readonly region: string
  readonly account: string
  readonly keyId: string
  readonly deletedAtMs: number
}

/** Bytes on disk, by what holds them. */
export interface StoreSizes {
  readonly database: number
  /** What has been written and is not in the database's own file yet. */
  readonly wal: number
}

export interface Store {
  readonly reader: Reader
  readonly hot: HotReader
  readonly view: StoreView
  /** Why the disk did not take the last change, here or of the audit log's copy; undefined when it did. */
  readonly unwritable: string | undefined
  readonly rowMacs: StoredRowMacs
  readonly audit: StoredAudit
  /**
   * Runs `work` in one transaction; its changes are on disk when the promise resolves, and none is made when it rejects.
   * Throws RowRefused when a record that it relied on, or changed, is not what this program wrote, and StoreRolledBack when
   * none is, because the store is an older one.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** Forgets what another process of the daemon has changed. */
  heed(change: StoreChange): void
  /**
   * Whether file and WAL may still hold EKT records that this process has removed, or one before it: so it is from the start, and
   * after each transaction that removes any, until a scrub has succeeded.
   */
  readonly scrubOwed: boolean
  /** Overwrites what file and WAL still hold of removed rows (security.md 4.4). Throws StoreLocked when others keep it from doing so. */
  scrub(): Promise<void>
  /** Writes a copy of one moment to a file that is not there yet, with mode 0600, while others go on writing. */
  copyTo(path: string, onProgress?: (progress: { done: number; total: number }) => void): Promise<void>
  /**
   * Looks at everything, as the store is while it goes on. Throws StoreRolledBack, and what the signer throws when it cannot
   * tell.
   */
  check(): AsyncGenerator<CheckStep>
  sizes(): Promise<StoreSizes>
  close(): Promise<void>
}
