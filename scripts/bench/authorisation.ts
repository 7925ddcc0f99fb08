/**
 * What authorisation costs: GenerateDataKey on a key with a policy of ten statements and a hundred grants, by a user with three
 * identity policies, none of which but the last decides, against the default policy.
 */
import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { CreateGrantCommand, CreateKeyCommand, type KMSClient } from '@aws-sdk/client-kms'
import type { SandboxDescription } from './sandbox-keeper.ts'
import type { Credentials } from './sigv4.ts'

const STATEMENTS = 10
const IDENTITY_POLICIES = 3
const GRANTS = 100
const USER = 'bench'
const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const NODE = fileURLToPath(new URL('../node', import.meta.url))
const run = promisify(execFile)

export interface Ruled {
  readonly keyId: string
  readonly credentials: Credentials
}

/** Makes the user and the key in a sandbox; `client` is its first user's. */
export async function makeRuled(sandbox: SandboxDescription, client: KMSClient): Promise<Ruled> {
  const { accountId, region, dir } = sandbox
  const identity = async (...args: readonly string[]) => {
    const config = ['--config', join(dir, 'strongroom.yaml'), '--output', 'json']
    const { stdout } = await run(NODE, [CLI, 'identity', ...args, ...config])
    return JSON.parse(stdout)
  }
  const { arn } = await identity('user', 'create', USER)
  for (let at = 1; at <= IDENTITY_POLICIES; at += 1) {
    const file = join(dir, `bench-${at}.json`)
    writeFileSync(file, policyOf([at === IDENTITY_POLICIES ? identityRule() : otherIdentityRule(region, at)]))
    await identity('user', 'put-policy', USER, `bench-${at}`, file)
  }
  const created = await client.send(new CreateKeyCommand({ Policy: keyPolicy(accountId) }))
  const keyId = created.KeyMetadata!.KeyId!
  for (let at = 0; at < GRANTS; at += 1) {
    const terms = {
      KeyId: keyId,
      GranteePrincipal: arn as string,
      Operations: ['Decrypt' as const],
      Name: `bench-${at}`,
    }
    await client.send(new CreateGrantCommand(terms))
  }
  const { accessKeyId, secretAccessKey } = await identity('access-key', 'create', USER)
  return { keyId, credentials: { accessKeyId, secretAccessKey, region } }
}

/** The last statement leaves it to the account; those before it look at the same action and let nobody in. */
function keyPolicy(accountId: string): string {
  const Principal = { AWS: `arn:aws:iam::${accountId}:root` }
  const others = Array.from({ length: STATEMENTS - 1 }, (_, at) => ({
    ...{ Sid: `s${at}`, Effect: at % 3 === 0 ? 'Deny' : 'Allow', Principal, Resource: '*' },
    Action: ['kms:GenerateDataKey*', 'kms:Decrypt', 'kms:DescribeKey'],
    Condition: {
      StringEquals: { 'kms:EncryptionContext:app': `orders-${at}`, 'kms:CallerAccount': accountId },
      ArnLike: { 'aws:PrincipalArn': `arn:aws:iam::${accountId}:role/service-${at}/*` },
    },
  }))
  return policyOf([...others, { Sid: 'last', Effect: 'Allow', Principal, Action: 'kms:*', Resource: '*' }])
}

function otherIdentityRule(region: string, at: number): object {
  const Condition = { StringLike: { 'kms:EncryptionContext:app': `reports-${at}-*` } }
  return { Effect: 'Allow', Action: ['kms:GenerateDataKey*'], Resource: `arn:aws:kms:${region}:*:key/*`, Condition }
}

function identityRule(): object {
  return { Effect: 'Allow', Action: ['kms:GenerateDataKey', 'kms:Encrypt', 'kms:Decrypt'], Resource: '*' }
}

function policyOf(statements: readonly object[]): string {
  return JSON.stringify({ Version: '2012-10-17', Statement: statements })
}
