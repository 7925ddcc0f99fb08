/** Services of the sandbox, and clients of theirs that say on whose behalf they call. */
import { KMS } from '@aws-sdk/client-kms'
import { afterAll } from '@jest/globals'
import { connectionOf } from '../support/sandbox.ts'
import { ask } from './callers.ts'
import { accountId, OTHER_ACCOUNT, region, sandbox } from './kms.ts'

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of a session. */
  readonly sessionToken?: string
}

export interface Service {
  readonly name: string
  /** As policies name it. */
  readonly principal: string
  /** As `kms:ViaService` names it. */
  readonly via: string
  readonly credentials: Credentials
  /** A client that calls for whoever has these credentials; without them the service itself. */
  client(headers?: Headers): KMS
}

export interface Headers {
  readonly for?: Pick<Credentials, 'accessKeyId' | 'sessionToken'>
  readonly sourceArn?: string
}

const clients: KMS[] = []
afterAll(() => {
  for (const client of clients) client.destroy()
})

let made = 0

/** A service that acts for these accounts. */
export async function makeService(...accounts: readonly string[]): Promise<Service> {
  made += 1
  const name = `s-${process.pid}-${Date.now()}-${made}`
  const service = { account: accountId, kind: 'service', name } as const
  if (accounts.includes(OTHER_ACCOUNT)) await ask('account/create', { account: OTHER_ACCOUNT }).catch(() => undefined)
  const { arn } = (await ask('identity/create', { ...service, fullAccess: false })) as { arn: string }
  await ask('identity/set-acts-for', { account: accountId, name, accounts: [...accounts] })
  const credentials = await credentialsOf(service)
  return {
    ...{ name, principal: arn, via: `${name}.${region}.amazonaws.com`, credentials },
    client: headers => clientWith(credentials, headersOf(headers ?? {})),
  }
}

/** An access key of a user, a service or a root. */
export async function credentialsOf(owner: {
  account: string
  kind?: 'user' | 'service' | 'root'
  name: string
}): Promise<Credentials> {
  const { accessKeyId, secretAccessKey } = (await ask('access-key/create', owner)) as Credentials
  return { accessKeyId, secretAccessKey }
}

/** The headers are there before the SDK signs, and so it signs them. */
export function clientWith(credentials: Credentials, headers: Readonly<Record<string, string>> = {}): KMS {
  const client = new KMS({ ...connectionOf(sandbox), credentials, maxAttempts: 1 })
  client.middlewareStack.add(
    next => args => {
      Object.assign((args.request as { headers: Record<string, string> }).headers, headers)
      return next(args)
    },
    { step: 'build', name: 'sayForWhom' },
  )
  clients.push(client)
  return client
}

export function headersOf({ for: whom, sourceArn }: Headers): Record<string, string> {
  return {
    ...(whom === undefined ? {} : { 'x-strongroom-on-behalf-of': whom.accessKeyId }),
    ...(whom?.sessionToken === undefined ? {} : { 'x-strongroom-on-behalf-of-token': whom.sessionToken }),
    ...(sourceArn === undefined ? {} : { 'x-strongroom-source-arn': sourceArn }),
  }
}
