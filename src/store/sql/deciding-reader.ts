/** The reads that something is decided upon, each with the records whose MACs must be good for it. */
import type { ApprovalRequest, DualControl } from '../../model/dual-control.ts'
import type { AccessKey, Account, Identity, IdentityKind, ManagedPolicy, Principal } from '../../model/identity.ts'
import type { Alias, KmsKey } from '../../model/key.ts'
import type { Domain } from '../domain.ts'
import type { KeyGrant, Page, Scope } from '../records.ts'
import { type RowName, rowName } from './aggregates.ts'
import { DUAL_CONTROL_ID } from './officers.ts'
import { lendersOf } from './principals.ts'
import { SqlReader } from './reader.ts'
import type { Handle } from './tables.ts'

/** Of an item of a page: the records that it is made of, and what comes after it in the next page. */
export interface Listed<T> {
  readonly madeOf: (item: T) => readonly RowName[]
  readonly nameOf: (item: T) => string
}

export abstract class DecidingReader extends SqlReader {
  override findKey(scope: Scope, keyId: string): Promise<KmsKey | undefined> {
    return this.checked(
      reader => reader.findKey(scope, keyId),
      () => [rowName('keys', scope.region, scope.account, keyId)],
    )
  }

  override findAlias(scope: Scope, name: string): Promise<Alias | undefined> {
    return this.checked(
      reader => reader.findAlias(scope, name),
      () => [rowName('aliases', scope.region, scope.account, name)],
    )
  }

  /** A grant is part of its key. */
  override findGrant(grantId: string): Promise<KeyGrant | undefined> {
    return this.checked(
      reader => reader.findGrant(grantId),
      ({ region, account, keyId }) => [rowName('keys', region, account, keyId)],
    )
  }

  override findAccount(id: string): Promise<Account | undefined> {
    return this.checked(
      reader => reader.findAccount(id),
      () => [rowName('accounts', id)],
    )
  }

  override findIdentity(account: string, kind: IdentityKind, name: string): Promise<Identity | undefined> {
    return this.checked(
      reader => reader.findIdentity(account, kind, name),
      ({ principalId }) => [rowName('identities', principalId)],
    )
  }

  override findService(name: string): Promise<Identity | undefined> {
    return this.checked(
      reader => reader.findService(name),
      ({ principalId }) => [rowName('identities', principalId)],
    )
  }

  /** With its groups and with the policies that it and they refer to. */
  override findPrincipal(principalId: string): Promise<Principal | undefined> {
    return this.checked(
      reader => reader.findPrincipal(principalId),
      async (_principal, db) => {
        const { identities, policies } = await lendersOf(db, principalId)
        return [
          ...identities.map(id => rowName('identities', id)),
          ...policies.map(id => rowName('managed_policies', id)),
        ]
      },
    )
  }

  override findManagedPolicy(account: string, name: string): Promise<ManagedPolicy | undefined> {
    return this.checked(
      reader => reader.findManagedPolicy(account, name),
      ({ id }) => [rowName('managed_policies', id)],
    )
  }

  override findAccessKey(accessKeyId: string): Promise<AccessKey | undefined> {
    return this.checked(
      reader => reader.findAccessKey(accessKeyId),
      () => [rowName('access_keys', accessKeyId)],
    )
  }

  override findDomain(region: string): Promise<Domain | undefined> {
    return this.checked(
      reader => reader.findDomain(region),
      () => [rowName('domains', region)],
    )
  }

  override findDualControl(): Promise<DualControl> {
    return this.checked(
      reader => reader.findDualControl(),
      () => [rowName('dual_control', DUAL_CONTROL_ID)],
    ) as Promise<DualControl>
  }

  override findApprovalRequest(id: string): Promise<ApprovalRequest | undefined> {
    return this.checked(
      reader => reader.findApprovalRequest(id),
      () => [rowName('approval_requests', id)],
    )
  }

  override listApprovalRequests(
    states: readonly ApprovalRequest['state'][],
    limit: number,
  ): Promise<ApprovalRequest[]> {
    return this.checkedAll(
      reader => reader.listApprovalRequests(states, limit),
      ({ id }) => [rowName('approval_requests', id)],
    )
  }

  override listKeyIds(scope: Scope, page: Page): Promise<string[]> {
    return this.checkedPage(page, (reader, asked) => reader.listKeyIds(scope, asked), {
      madeOf: id => [rowName('keys', scope.region, scope.account, id)],
      nameOf: id => id,
    })
  }

  /** The record of a key names its aliases: one that was put back shows there. */
  override listAliases(scope: Scope, keyId: string | undefined, page: Page): Promise<Alias[]> {
    return this.checkedPage(page, (reader, asked) => reader.listAliases(scope, keyId, asked), {
      madeOf: ({ region, account, name, keyId: target }) => [
        rowName('aliases', region, account, name),
        rowName('keys', region, account, target),
      ],
      nameOf: ({ name }) => name,
    })
  }

  override listGrantsToRetire(region: string, retiring: string, page: Page): Promise<KeyGrant[]> {
    return this.checkedPage(page, (reader, asked) => reader.listGrantsToRetire(region, retiring, asked), {
      madeOf: ({ region: of, account, keyId }) => [rowName('keys', of, account, keyId)],
      nameOf: ({ grant }) => grant.id,
    })
  }

  override listAccounts(): Promise<Account[]> {
    return this.checkedAll(
      reader => reader.listAccounts(),
      ({ id }) => [rowName('accounts', id)],
    )
  }

  override listIdentities(account: string, kind: IdentityKind): Promise<Identity[]> {
    return this.checkedAll(
      reader => reader.listIdentities(account, kind),
      ({ principalId }) => [rowName('identities', principalId)],
    )
  }

  override listManagedPolicies(account: string): Promise<ManagedPolicy[]> {
    return this.checkedAll(
      reader => reader.listManagedPolicies(account),
      ({ id }) => [rowName('managed_policies', id)],
    )
  }

  override listAccessKeys(principalId: string): Promise<AccessKey[]> {
    return this.checkedAll(
      reader => reader.listAccessKeys(principalId),
      ({ id }) => [rowName('access_keys', id)],
    )
  }

  /** The record, once it is certain, or will be before anything comes of it, that those that it is made of are genuine. */
  protected abstract checked<T>(
    find: (reader: SqlReader) => Promise<T | undefined>,
    madeOf: (record: T, db: Handle) => readonly RowName[] | Promise<readonly RowName[]>,
  ): Promise<T | undefined>

  /** Those items whose records are genuine; where a change is decided upon them, all must be. */
  protected abstract checkedAll<T>(
    list: (reader: SqlReader) => Promise<T[]>,
    madeOf: (item: T) => readonly RowName[],
  ): Promise<T[]>

  /** The same for a page: it is as long as was asked for, or the last. */
  protected abstract checkedPage<T>(
    page: Page,
    list: (reader: SqlReader, page: Page) => Promise<T[]>,
    listed: Listed<T>,
  ): Promise<T[]>
}
