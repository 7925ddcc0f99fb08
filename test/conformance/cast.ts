/** Everybody who may call, each with credentials of its own: the cast of the table in callers-table.test.ts. */
import { ask, FULL, makeStranger, makeUser, policyOf } from './callers.ts'
import { accountId, callerArn, sandbox } from './kms.ts'
import { type Reply, send } from './raw.ts'

interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** Of a session. */
  readonly token?: string
}

export interface Actor {
  /** As ARNs and policies name it: a service by its name. */
  readonly arn: string
  readonly kind: 'user' | 'session' | 'service' | 'nobody'
  readonly account: string
  /** Whether the policy of the key that it asks about names it. */
  readonly letIn: boolean
  call(operation: string, input: object): Promise<Reply>
}

function actor(
  who: Pick<Actor, 'arn'> & Partial<Pick<Actor, 'kind' | 'account' | 'letIn'>>,
  { token, ...credentials }: Credentials,
): Actor {
  const headers = token === undefined ? {} : { 'x-amz-security-token': token }
  const call: Actor['call'] = (operation, body) => send({ operation, body, headers, ...credentials })
  return { kind: 'user', account: accountId, letIn: false, ...who, call }
}

export const nobody: Actor = {
  ...{ arn: '', kind: 'nobody', account: accountId, letIn: false },
  call: (operation, body) => send({ operation, body, authorization: () => undefined }),
}

export const admin = actor({ arn: callerArn }, sandbox)

/** A user whose one policy can be replaced. */
export async function makeSubject(): Promise<Actor & { mayOnly(statement: object): Promise<void> }> {
  const { arn, name } = await makeUser()
  const credentials = (await ask('access-key/create', { account: accountId, kind: 'user', name })) as Credentials
  return {
    ...actor({ arn }, credentials),
    async mayOnly(statement) {
      const document = policyOf({ Effect: 'Allow', Resource: '*', ...statement })
      await ask('identity/put-policy', { account: accountId, kind: 'user', name, policy: 'test', document })
    },
  }
}

/** A user of another account who may do everything there. */
export async function makeOutsider(account: string, letIn: boolean): Promise<Actor> {
  const { arn, name } = await makeStranger(FULL)
  const credentials = (await ask('access-key/create', { account, kind: 'user', name })) as Credentials
  return actor({ arn, account, letIn }, credentials)
}

let made = 0
const newName = () => `cast-${process.pid}-${Date.now()}-${++made}`

/** A service without any policy of its own. */
export async function makeService(letIn: boolean): Promise<Actor> {
  const service = { account: accountId, kind: 'service', name: newName() } as const
  const { arn } = (await ask('identity/create', { ...service, fullAccess: false })) as { arn: string }
  const credentials = (await ask('access-key/create', service)) as Credentials
  return actor({ arn, kind: 'service', letIn }, credentials)
}

/** A session of a role that may do everything, as far as a session policy does not limit it. */
export async function makeSession(policy?: string): Promise<Actor> {
  const role = { account: accountId, kind: 'role', name: newName() } as const
  const trustPolicy = policyOf({ Effect: 'Allow', Principal: { AWS: callerArn }, Action: 'sts:AssumeRole' })
  const { arn } = (await ask('identity/create', { ...role, trustPolicy, fullAccess: true })) as { arn: string }
  const parameters = { RoleArn: arn, RoleSessionName: 'first', ...(policy === undefined ? {} : { Policy: policy }) }
  const { text } = await send({
    service: 'sts',
    headers: { 'content-type': 'application/x-www-form-urlencoded', 'x-amz-target': undefined },
    body: new URLSearchParams({ Action: 'AssumeRole', Version: '2011-06-15', ...parameters }).toString(),
  })
  const element = (name: string) => new RegExp(`<${name}>([^<]+)</${name}>`).exec(text)![1]!
  return actor(
    { arn: `arn:aws:sts::${accountId}:assumed-role/${role.name}/first`, kind: 'session' },
    {
      accessKeyId: element('AccessKeyId'),
      secretAccessKey: element('SecretAccessKey'),
      token: element('SessionToken'),
    },
  )
}
