/** The reads that something is decided upon, each with the records whose MACs must be good for it. */
import type { AccessKey, Account, Identity, IdentityKind, ManagedPolicy, Principal } from '../../model/identity.ts'
import type { Alias, KmsKey } from '../../model/key.ts'
import type { KeyGrant, Scope } from '../store.ts'
import { type RowName, rowName } from './aggregates.ts'
import { lendersOf } from './principals.ts'
import { SqlReader } from './reader.ts'
import type { Handle } from './tables.ts'

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

  /** The record, once it is certain, or will be before anything comes of it, that those that it is made of are genuine. */
  protected abstract checked<T>(
    find: (reader: SqlReader) => Promise<T | undefined>,
    madeOf: (record: T, db: Handle) => readonly RowName[] | Promise<readonly RowName[]>,
  ): Promise<T | undefined>
}
