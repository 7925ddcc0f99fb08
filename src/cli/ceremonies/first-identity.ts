/** What a deployment needs besides its domains: the HBK that seals access keys, the account, its user `admin`, a first access key. */
import { randomUUID } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Clock } from '../../base/clock.ts'
import type { HsmPool } from '../../hsm/pool/pool.ts'
import { createBackingKey } from '../../keyring/backing-keys.ts'
import { Identities } from '../../keyring/identities.ts'
import { Secrets } from '../../keyring/secrets.ts'
import { kidOf } from '../../model/key-id.ts'
import type { DaemonKey, Store } from '../../store/store.ts'

export const FIRST_USER = 'admin'
export const IDENTITY_PURPOSE = 'identity'

export interface FirstIdentityParts {
  readonly store: Store
  readonly clock: Clock
  readonly account: string
  /** The first region's pool, which opens secrets. */
  readonly pool: HsmPool
  /** Where the first access key is written, as an AWS credentials file of mode 0600. */
  readonly credentialsPath: string
  readonly say: (line: string) => void
}

export async function ensureFirstIdentity(parts: FirstIdentityParts): Promise<void> {
  const { store, clock, account, pool, credentialsPath, say } = parts
  const daemonKey = await ensureDaemonKey(store, clock, pool)
  const identities = new Identities({ store, secrets: new Secrets(pool, daemonKey), clock })
  if (!(await store.reader.accountExists(account))) await store.transaction(tx => tx.insertAccount(account, clock()))
  const known = await identities.list(account)
  if (known.length === 0) {
    await identities.create({ account, name: FIRST_USER, fullAccess: true })
    say(`account ${account}: made user ${FIRST_USER}`)
  }
  // Once there is another user, an operator decides: what was taken away does not come back by itself.
  if (known.some(({ name }) => name !== FIRST_USER)) return
  await forgetUnfinishedCredentials(store, credentialsPath)
  if ((await identities.listAccessKeys(account, FIRST_USER)).length > 0) return
  // The file comes before the row: a crash between them leaves a key that nobody accepts, not one that nobody knows.
  const { accessKeyId } = await identities.createAccessKey(account, FIRST_USER, created => {
    const lines = [
      '[default]',
      `aws_access_key_id = ${created.accessKeyId}`,
      `aws_secret_access_key = ${created.secretAccessKey}`,
    ]
    writeFileSync(credentialsPath, `${lines.join('\n')}\n`, { mode: 0o600, flag: 'wx' })
  })
  say(`account ${account}: made access key ${accessKeyId} of ${FIRST_USER}, its secret is in ${credentialsPath}`)
}

async function ensureDaemonKey(store: Store, clock: Clock, pool: HsmPool): Promise<DaemonKey> {
  const known = await store.reader.findDaemonKey(IDENTITY_PURPOSE)
  if (known !== undefined) return known
  const kid = kidOf(randomUUID())
  const request = { account: 'strongroom', kid, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'IDENTITY' }
  const { ekt } = await createBackingKey({ store, clock }, pool, request)
  const made: DaemonKey = { purpose: IDENTITY_PURPOSE, region: pool.region, kid, ekt }
  await store.transaction(tx => tx.insertDaemonKey(made))
  return made
}

async function forgetUnfinishedCredentials(store: Store, path: string): Promise<void> {
  if (!existsSync(path)) return
  const [, accessKeyId] = /aws_access_key_id\s*=\s*(\w+)/.exec(readFileSync(path, 'utf8')) ?? []
  if (accessKeyId === undefined || (await store.reader.findAccessKey(accessKeyId)) === undefined) rmSync(path)
}
