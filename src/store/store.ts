/**
 * The key store as everybody else sees it: a Reader, a Transaction that also writes, and the hot reads that memory
 * answers. An acknowledged transaction is on disk. No SQL and no row type leaves this folder.
 */
import type { Anchor } from '../formats/row-ledger.ts'
import type { Schemes } from '../hsm/contract/token-profile.ts'
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
import type { WrappingAlgorithm, WrappingKeySpec } from '../model/imports.ts'
import type { Alias, Ekt, KeyMaterial, KmsKey, Tag } from '../model/key.ts'
import type { KeySpec } from '../model/key-specs.ts'
import type { KeyUse } from '../model/key-use.ts'

/** Names a key or alias space: every record belongs to one account in one region. */
export interface Scope {
  readonly region: string
  readonly account: string
}

export interface Page {
  /** The last item of the page before: exclusive. Undefined for the first page. */
  readonly after: string | undefined
  readonly limit: number
}

/** A token of a domain, as the ceremonies enrolled it. One that has left stays listed: `retired`. */
export interface EnrolledToken {
  readonly serial: string
  readonly label: string
  readonly state: 'enrolling' | 'enrolled' | 'retired'
  /** SubjectPublicKeyInfo, DER, of the token's audit key; empty while enrolling. */
  readonly auditPublicKey: Buffer
  readonly enrolledAtMs: number
  /** The versions whose keys it is known to hold, in ascending order. An unreachable token keeps what it held. */
  readonly versions: readonly number[]
  /** Whether this token enforces the attributes of security.md 3. */
  readonly sealed: boolean
}

/** One version of a domain key or domain MAC key: 16 random bytes tell two keys of one number apart; 64-bit check value. */
export interface DomainKeyVersion {
  readonly kind: 'dk' | 'mac'
  readonly version: number
  readonly forkId: string
  readonly checkValue: string
  /**
   * - `making`: a rotation is bringing it to the tokens; no host is told of it.
   * - `active`: hosts read what is under it; the newest active version is the one that they write under.
   * - `withdrawn`: no host is told of it any more; tokens destroy it as they are reached.
   */
  readonly state: 'making' | 'active' | 'withdrawn'
  /** When the last EKT record had left it: from then on it only opens backups. Undefined before. */
  readonly sweptAtMs: number | undefined
}

/** A rotation under way, by the step that comes next (security.md 4.1). */
export interface Rotation {
  /** The version of domain key and MAC key that is being made, or swept to. */
  readonly to: number
  /**
   * - `making`: generate `to` and bring it to every enrolled token (steps 1 and 2).
   * - `barrier`: hosts write under `to`; destroy what makes anything under the version before, in every token (step 3).
   * - `sweeping`: re-wrap every EKT record (steps 4 and 5).
   */
  readonly step: 'making' | 'barrier' | 'sweeping'
  readonly startedAtMs: number
}

export interface Domain {
  /** 32 hex digits. */
  readonly id: string
  /** Whose it is; MULTI_REGION_DOMAIN of the one that regions share. */
  readonly region: string
  /** `creating` until the first token holds all of its keys. */
  readonly state: 'creating' | 'ready'
  /** Whether all of its tokens enforce the attributes of security.md 3. */
  readonly sealed: boolean
  /** What new EKTs are made by; every token of the domain has them. */
  readonly schemes: Schemes
  readonly createdAtMs: number
  /** Grows by one with every change: of two ceremonies that change a domain at once, one is refused. */
  readonly generation: number
  readonly rotation: Rotation | undefined
  readonly versions: readonly DomainKeyVersion[]
  readonly tokens: readonly EnrolledToken[]
}

/** One step of a ceremony that changed something, or that failed: what `domain history` prints. */
export interface CeremonyRecord {
  readonly id: string
  readonly region: string
  /** As it was typed, without its options: `domain rotate`. */
  readonly command: string
  /** The user of the operating system that ran it. */
  readonly operator: { readonly name: string; readonly uid: number }
  /** The officers who approved it, by name. */
  readonly officers: readonly string[]
  readonly atMs: number
  /** For people; holds no secret. */
  readonly what: string
  readonly outcome: 'done' | 'failed'
}

/** An EKT record where it is stored: `name` is for people. */
export interface StoredEkt {
  readonly table: string
  readonly primaryKey: readonly (string | Buffer)[]
  readonly name: string
  readonly record: Buffer
}

/** A grant with the key that it lends. */
export interface KeyGrant extends Scope {
  readonly keyId: string
  readonly grant: Grant
}

export interface Reader {
  findKey(scope: Scope, keyId: string): Promise<KmsKey | undefined>
  /** The regions that hold a multi-Region key, in ascending order. */
  listRegionsOfKey(account: string, keyId: string): Promise<string[]>
  /** Key ids in ascending order. */
  listKeyIds(scope: Scope, page: Page): Promise<string[]>
  /** Enabled keys of every account and region whose rotation is due, the longest overdue first. */
  listKeysDueForRotation(nowMs: number, limit: number): Promise<KmsKey[]>
  /** Keys of every account and region with imported material that has expired. */
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
   * EKT records of a domain, by its region or MULTI_REGION_DOMAIN, under a version, of every table that holds any, in a fixed order; `after` is the last of the
   * batch before.
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

/** An HBK as an object of a token (formats/resident-key.ts). */
export interface ResidentObject {
  readonly region: string
  /** Of the token. */
  readonly serial: string
  readonly ckaId: Buffer
  /**
   * - `creating`: about to be made, or made and not recorded because a crash came between; never in use.
   * - `ready`: a stored EKT record names it.
   * - `destroying`: its record is gone, and the token has not confirmed that it destroyed the object.
   */
  readonly state: 'creating' | 'ready' | 'destroying'
  readonly createdAtMs: number
}

/** An object that is to be destroyed, with the record that proves which one is meant. */
export interface DoomedObject extends ResidentObject {
  readonly ekt: Ekt
}

/** The wrapping key of an import, which GetParametersForImport made for one KMS key. */
export interface ImportKey extends Scope {
  readonly keyId: string
  readonly importId: Buffer
  readonly algorithm: WrappingAlgorithm
  readonly spec: WrappingKeySpec
  readonly ekt: Ekt
  readonly notAfterMs: number
  /** Imports that failed, and those that are under way: each is counted before the token is asked. */
  readonly attempts: number
}

/** An HBK of the daemon's own. */
export interface DaemonKey {
  readonly purpose: string
  readonly region: string
  readonly kid: Buffer
  readonly ekt: Ekt
  /** A data key for the service's own memory, encrypted under this HBK, where the purpose wants one. */
  readonly dataKey?: Buffer
}

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

  /** Writes state, description, policy, deletion, rotation and the primary's region; `generation` must be one above the stored one, or it throws. */
  updateKey(key: KmsKey): Promise<void>
  /**
   * Removes the key, its EKT records, aliases, tags and grants, and leaves a tombstone; resident HBKs are then to be destroyed.
   */
  deleteKey(key: KmsKey, nowMs: number): Promise<void>

  /** The object that a record names, if any, is to be destroyed: no key has it. */
  doomResidentObject(region: string, ekt: Ekt, nowMs: number): Promise<void>

  /** Of each key the newest use stays, whichever is written last; keys that are gone are passed over. */
  putKeyUses(uses: readonly KeyUse[]): Promise<void>

  insertAlias(alias: Alias): Promise<void>
  /** Writes target and date of change. */
  updateAlias(alias: Alias): Promise<void>
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

/** How far a region's ledger has come (formats/row-ledger.ts). */
export interface RegionAnchor extends Anchor {
  readonly region: string
}

/** The head of a ledger as a copy of the store holds it: signed as a record of the table `ledger_heads`. */
export interface CopiedHead extends RegionAnchor {
  readonly macVersion: number
  readonly mac: Buffer
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

/** The place of a record among all that carry MACs. */
export interface RowPlace {
  readonly table: string
  readonly primaryKey: string
}

/** The MACs of the records that decide who may do what, or which key is meant (security.md 2.6). */
export interface StoredRowMacs {
  /** Whether every such record carries one, of the tables that carry MACs today. One that does not is refused from then on. */
  areComplete(): Promise<boolean>
  /**
   * Gives every record of a store that has none a MAC, as it is: for once. In a store that an older version has signed it does
   * so with the tables that carried none then. Returns how many there are. Throws StoreRolledBack when a token remembers that
   * the store had MACs.
   */
  complete(): Promise<number>
  /**
   * Verifies the next records; `after` is the last of the batch before, and `last` undefined when it was the end. Each that is
   * refused is reported as at any read.
   */
  verify(
    after: RowPlace | undefined,
    limit: number,
  ): Promise<{ verified: number; last: RowPlace | undefined; refused: RowPlace[] }>
  /**
   * Of the MACs that a region's domain made under versions below this one, makes the next anew, once they are
   * verified, under the newest version. Returns how many, 0 when none is left. Throws RowRefused.
   */
  renew(region: string, version: number, limit: number): Promise<number>
  /**
   * Makes sure that the rows that hosts of a region were told of its domains from are genuine; the first use of a record that
   * the domain has signed waits for the same. Throws RowRefused and StoreRolledBack.
   */
  requireDomain(region: string): Promise<void>
  /**
   * How far a region's ledger has come; undefined before its first record. Throws RowRefused and StoreRolledBack when it is
   * not what was written last.
   */
  anchorOf(region: string): Promise<RegionAnchor | undefined>
  /** The newest one that this process has verified or made, without a read. */
  newestAnchorOf(region: string): Anchor | undefined
  /**
   * Signs the ledger of a region anew, at an epoch beyond all that this store, or `beyond`, can ever have come to: an operator
   * takes an older store for the present one. Throws RowRefused when its head is not genuine.
   */
  beginAnew(region: string, beyond: Anchor): Promise<RegionAnchor>
}

/** Lines of the audit log (formats/audit-chain.ts) that follow each other in one chain. */
export interface AuditBlock<Bytes extends Uint8Array = Buffer> {
  readonly chain: string
  /** The numbers of its first and last event. */
  readonly firstSeq: number
  readonly lastSeq: number
  readonly firstAtMs: number
  readonly lastAtMs: number
  readonly lines: Bytes
}

export interface AuditBlockPlace {
  readonly chain: string
  readonly number: number
  readonly lastAtMs: number
}

/** An event that a change has left behind and that no chain holds yet. */
export interface StoredEvent {
  readonly id: string
  readonly atMs: number
  /** JSON. */
  readonly event: string
}

/** How much of the audit log's files a forwarder has passed on. */
export interface AuditPosition {
  /** The name of a file. */
  readonly file: string
  /** Bytes of it. */
  readonly offset: number
}

/** What transactions leave an event behind with their change: asked when one is about to commit. */
export interface PendingEventSource {
  current(): { readonly id: string; text(keys: readonly string[]): string } | undefined
}

/** The audit log, as far as the key store holds it. */
export interface StoredAudit {
  /** Adds a block and lets go of the pending events that it, or one before it, holds; on a thread of its own. */
  addBlock(block: AuditBlock, chained: readonly string[]): Promise<void>
  lastBlock(chain: string): Promise<AuditBlock | undefined>
  /** Blocks that may hold events of a time, both ends included, the newest first. */
  blocksBackwards(range: { fromMs?: number | undefined; toMs?: number | undefined }): AsyncGenerator<AuditBlock>
  /** All blocks, in the order of their chains. */
  blocks(): AsyncGenerator<AuditBlock>
  /** Removes blocks that ended before a moment, and the oldest while all together have more bytes. Returns how many. */
  expire(beforeMs: number, maxBytes: number): Promise<number>
  /** Events that no block holds, the oldest first. */
  pendingEvents(limit: number): Promise<StoredEvent[]>
  /** Lets go of events that a chain holds. */
  forgetPending(ids: readonly string[]): Promise<void>
  position(name: string): Promise<AuditPosition | undefined>
  setPosition(name: string, position: AuditPosition): Promise<void>
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
  readonly rowMacs: StoredRowMacs
  readonly audit: StoredAudit
  /**
   * Runs `work` in one transaction; its changes are on disk when the promise resolves, and none is made when it rejects.
   * Throws RowRefused when a record that it relied on, or changed, is not what this program wrote, and StoreRolledBack when
   * none is, because the store is an older one.
   */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** After a deletion: overwrites what the file and the WAL still hold of removed rows (security.md 4.4). */
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
