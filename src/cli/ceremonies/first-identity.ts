/** What a deployment needs besides its domains: the HBKs of its own, the account, its user `admin`, a first access key. */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Clock } from '../../base/clock.ts'
import type { HsmPool } from '../../hsm/pool/pool.ts'
import { AccessKeys } from '../../identities/access-keys.ts'
import { Accounts } from '../../identities/accounts.ts'
import { Identities } from '../../identities/identities.ts'
import { ensureDaemonKeys } from '../../keyring/daemon-keys.ts'
import { Secrets } from '../../keyring/secrets.ts'
import type { Store } from '../../store/store.ts'

export const FIRST_USER = 'admin'

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
  const daemonKeys = await ensureDaemonKeys(store, pool)
  const identities = new Identities({ store, clock })
  const accessKeys = new AccessKeys({ store, secrets: new Secrets(pool, daemonKeys.identity), clock })
  if ((await store.reader.findAccount(account)) === undefined) await new Accounts({ store, clock }).create(account)
  const first = { account, kind: 'user', name: FIRST_USER } as const
  const known = await identities.list(account, 'user')
  if (known.length === 0) {
    await identities.create({ ...first, fullAccess: true })
    say(`account ${account}: made user ${FIRST_USER}`)
  }
  // Once there is another user, an operator decides: what was taken away does not come back by itself.
  if (known.some(({ name }) => name !== FIRST_USER)) return
  await forgetUnfinishedCredentials(store, credentialsPath)
  if ((await accessKeys.list(first)).length > 0) return
  // The file comes before the row: a crash between them leaves a key that nobody accepts, not one that nobody knows.
  const { accessKeyId } = await accessKeys.create(first, created => {
    const lines = [
      '[default]',
      `aws_access_key_id = ${created.accessKeyId}`,
      `aws_secret_access_key = ${created.secretAccessKey}`,
    ]
    writeFileSync(credentialsPath, `${lines.join('\n')}\n`, { mode: 0o600, flag: 'wx' })
  })
  say(`account ${account}: made access key ${accessKeyId} of ${FIRST_USER}, its secret is in ${credentialsPath}`)
}

async function forgetUnfinishedCredentials(store: Store, path: string): Promise<void> {
  if (!existsSync(path)) return
  const [, accessKeyId] = /aws_access_key_id\s*=\s*(\w+)/.exec(readFileSync(path, 'utf8')) ?? []
  if (accessKeyId === undefined || (await store.reader.findAccessKey(accessKeyId)) === undefined) rmSync(path)
}
