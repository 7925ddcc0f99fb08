/** Other callers than the first user: users of its account and of another, each with its own client of the sandbox. */
import { KMS } from '@aws-sdk/client-kms'
import { afterAll } from '@jest/globals'
import type { AdminRequest, AdminRequestName } from '../../src/admin/admin-socket.ts'
import { askDaemon } from '../../src/cli/admin-client.ts'
import { loadConfiguration } from '../../src/config/load.ts'
import { openStateFolder } from '../../src/config/state-folder.ts'
import { connectionOf } from '../support/sandbox.ts'
import { accountId, OTHER_ACCOUNT, sandbox } from './kms.ts'

export interface Other {
  readonly arn: string
  readonly name: string
  readonly kms: KMS
}

const { adminSocket } = openStateFolder(loadConfiguration(`${sandbox.dir}/strongroom.yaml`).stateDir)
const clients: KMS[] = []
afterAll(() => {
  for (const client of clients) client.destroy()
})

export function ask<N extends AdminRequestName>(name: N, body: AdminRequest<N>): Promise<unknown> {
  return askDaemon(adminSocket, name, body)
}

export const policyOf = (...statements: object[]) => JSON.stringify({ Version: '2012-10-17', Statement: statements })
export const FULL = policyOf({ Effect: 'Allow', Action: 'kms:*', Resource: '*' })

let users = 0

/** A user with an identity policy, or with none. */
export async function makeUser(document?: string, account = accountId): Promise<Other> {
  users += 1
  const name = `other-${process.pid}-${Date.now()}-${users}`
  if (account !== accountId) await ask('account/create', { account }).catch(() => undefined)
  const { arn } = (await ask('identity/create', { account, name, fullAccess: false })) as { arn: string }
  if (document !== undefined) await ask('identity/put-policy', { account, name, policy: 'test', document })
  return { arn, name, kms: await clientOf({ account, name }) }
}

/** Another user under the name of one that is gone. */
export async function makeAgain({ name }: Other): Promise<Other> {
  await ask('identity/delete', { account: accountId, name })
  const { arn } = (await ask('identity/create', { account: accountId, name, fullAccess: false })) as { arn: string }
  return { arn, name, kms: await clientOf({ account: accountId, name }) }
}

/** The client of a user or of an account's root. */
export async function clientOf(owner: AdminRequest<'access-key/create'>): Promise<KMS> {
  const credentials = (await ask('access-key/create', owner)) as { accessKeyId: string; secretAccessKey: string }
  const client = new KMS({ ...connectionOf({ ...sandbox, ...credentials }), maxAttempts: 1 })
  clients.push(client)
  return client
}

export const makeStranger = (document?: string) => makeUser(document, OTHER_ACCOUNT)

/** What a caller without a right is told of a key of its own account. */
export function notAllowed({ arn }: Other, operation: string, keyArn: string, side = 'identity-based'): string {
  return `AccessDeniedException: User: ${arn} is not authorized to perform: kms:${operation} on resource: ${keyArn} because no ${side} policy allows the kms:${operation} action`
}

/** What a caller is told of a key of another account, there or not. */
export function invisible({ arn }: Other, operation: string): string {
  return `AccessDeniedException: User: ${arn} is not authorized to perform: kms:${operation} on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access`
}
