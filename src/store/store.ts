/**
 * The key store as everybody else sees it: a Reader, a Transaction that also writes, and the hot reads that memory
 * answers. An acknowledged transaction is on disk. No SQL and no row type leaves this folder.
 */
import type { Schemes } from '../hsm/contract/token-profile.ts'
import type { AccessKey, Identity } from '../model/identity.ts'
import type { WrappingAlgorithm, WrappingKeySpec } from '../model/imports.ts'
import type { Alias, Ekt, KeyMaterial, KmsKey, Tag } from '../model/key.ts'

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

/** A token of a domain, as the ceremonies enrolled it. */
export interface EnrolledToken {
  readonly serial: string
  readonly label: string
  readonly state: 'enrolling' | 'enrolled'
  /** SubjectPublicKeyInfo, DER, of the token's audit key; empty while enrolling. */
  readonly auditPublicKey: Buffer
  readonly enrolledAtMs: number
  /** Whether this token enforces the attributes of security.md 3. */
  readonly sealed: boolean
}

/** One version of a domain key or domain MAC key: 16 random bytes tell two keys of one number apart; 64-bit check value. */
export interface DomainKeyVersion {
  readonly kind: 'dk' | 'mac'
  readonly version: number
  readonly forkId: string
  readonly checkValue: string
}

export interface Domain {
  /** 32 hex digits. */
  readonly id: string
  readonly region: string
  /** `creating` until the first token holds all of its keys. */
  readonly state: 'creating' | 'ready'
  /** Whether all of its tokens enforce the attributes of security.md 3. */
  readonly sealed: boolean
  /** What new EKTs are made by; every token of the domain has them. */
  readonly schemes: Schemes
  readonly createdAtMs: number
  readonly versions: readonly DomainKeyVersion[]
  readonly tokens: readonly EnrolledToken[]
}

/** An access key with the identity it belongs to, as request authentication wants it. */
export interface AccessKeyOwner {
  readonly accessKey: AccessKey
  readonly identity: Identity
}

export interface Reader {
  findKey(scope: Scope, keyId: string): Promise<KmsKey | undefined>
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
  countKeys(scope: Scope): Promise<number>

  findAlias(scope: Scope, name: string): Promise<Alias | undefined>
  /** By name in ascending order; of one key when `keyId` is given. */
  listAliases(scope: Scope, keyId: string | undefined, page: Page): Promise<Alias[]>
  countAliases(scope: Scope, keyId: string): Promise<number>

  /** By tag key in ascending order. */
  listTags(scope: Scope, keyId: string, page: Page): Promise<Tag[]>

  accountExists(account: string): Promise<boolean>
  findIdentity(account: string, name: string): Promise<Identity | undefined>
  listIdentities(account: string): Promise<Identity[]>
  findAccessKey(accessKeyId: string): Promise<AccessKeyOwner | undefined>
  listAccessKeys(principalId: string): Promise<AccessKey[]>

  findDomain(region: string): Promise<Domain | undefined>
  /** The EKT record of the daemon's own HBK of a purpose, such as `identity`. */
  findDaemonKey(purpose: string): Promise<DaemonKey | undefined>

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
}

export interface Transaction extends Reader {
  /** Resident HBKs become `ready` with it; their objects must have been inserted as `creating`. */
  insertKey(key: KmsKey): Promise<void>
  /** Writes the key as `updateKey` does, and `material` as its current one, new or pending before; the others stay. */
  rotateKey(key: KmsKey, material: KeyMaterial): Promise<void>
  /** Writes the key as `updateKey` does, and one material as it is, over one of the same id. */
  putMaterial(key: KmsKey, material: KeyMaterial): Promise<void>
  /** Writes the key as `updateKey` does, and removes one material. */
  deleteMaterial(key: KmsKey, materialId: string): Promise<void>

  insertImportKey(key: ImportKey): Promise<void>
  /** Counts an attempt, or takes one back. */
  countImportAttempt(key: ImportKey, change: 1 | -1): Promise<void>
  deleteImportKey(key: ImportKey): Promise<void>

  /** Writes state, description, policy, deletion date and rotation; `generation` must be one above the stored one, or it throws. */
  updateKey(key: KmsKey): Promise<void>
  /** Removes the key, its EKT records, aliases and tags, and leaves a tombstone; resident HBKs are then to be destroyed. */
  deleteKey(key: KmsKey, nowMs: number): Promise<void>

  insertAlias(alias: Alias): Promise<void>
  /** Writes target and date of change. */
  updateAlias(alias: Alias): Promise<void>
  deleteAlias(alias: Alias): Promise<void>

  putTags(key: KmsKey, tags: readonly Tag[]): Promise<void>
  deleteTags(key: KmsKey, tagKeys: readonly string[]): Promise<void>

  insertAccount(account: string, nowMs: number): Promise<void>
  insertIdentity(identity: Identity): Promise<void>
  /** Removes an identity with its policies and access keys. */
  deleteIdentity(identity: Identity): Promise<void>
  putIdentityPolicy(identity: Identity, name: string, document: string): Promise<void>
  deleteIdentityPolicy(identity: Identity, name: string): Promise<void>
  insertAccessKey(accessKey: AccessKey): Promise<void>
  updateAccessKey(accessKey: AccessKey): Promise<void>
  deleteAccessKey(accessKey: AccessKey): Promise<void>

  /** Writes the domain row with its versions and tokens, whatever was there. */
  putDomain(domain: Domain): Promise<void>
  /** A resident HBK becomes `ready` with it. */
  insertDaemonKey(key: DaemonKey): Promise<void>

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
  alias(scope: Scope, name: string): Alias | undefined | Promise<Alias | undefined>
  accessKey(accessKeyId: string): AccessKeyOwner | undefined | Promise<AccessKeyOwner | undefined>
  /** Database reads made so far, for the metric that shows the hot path makes none. */
  readonly databaseReads: number
  readonly size: number
}

export interface Store {
  readonly reader: Reader
  readonly hot: HotReader
  /** Runs `work` in one transaction; its changes are on disk when the promise resolves, and none is made when it rejects. */
  transaction<T>(work: (tx: Transaction) => Promise<T>): Promise<T>
  /** After a deletion: overwrites what the file and the WAL still hold of removed rows (security.md 4.4). */
  scrub(): Promise<void>
  close(): Promise<void>
}
