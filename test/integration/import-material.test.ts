/** `strongroom import-material` from key files. */
import { spawn } from 'node:child_process'
import { createPublicKey, generateKeyPairSync, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { CreateKeyRequest, KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Sandbox, startSandbox } from '../support/sandbox.ts'
import { makeFolder } from '../support/tokens.ts'

const CLI = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url))
const folder = makeFolder()
let sandbox: Sandbox
let kms: KMS

beforeAll(async () => {
  sandbox = await startSandbox({ tokens: 1 })
  kms = sandbox.client()
}, 60_000)

afterAll(async () => {
  await sandbox?.stop()
  folder.remove()
})

async function makeExternal(kind: CreateKeyRequest = {}): Promise<string> {
  return (await kms.createKey({ ...kind, Origin: 'EXTERNAL' })).KeyMetadata!.KeyId!
}

function write(name: string, content: string | Buffer): string {
  const path = join(folder.path, name)
  writeFileSync(path, content)
  return path
}

async function run(args: readonly string[], input = '', changed: NodeJS.ProcessEnv = {}) {
  const { endpoint, accessKeyId, secretAccessKey } = sandbox.description
  const { PATH, HOME } = process.env
  const credentials = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey }
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', CLI, 'import-material', ...args], {
    env: { PATH, HOME, ...credentials, AWS_ENDPOINT_URL: endpoint, AWS_REGION: 'on-prem-1', ...changed },
  })
  const output = { stdout: '', stderr: '' }
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', text => {
      output[name] += text
    })
  }
  child.stdin.on('error', () => {})
  child.stdin.end(input)
  const code = await new Promise(resolve => child.once('close', resolve))
  return { code, ...output }
}

describe('strongroom import-material', () => {
  it('imports a secret, and says what it does', async () => {
    const KeyId = await makeExternal()
    const ran = await run(['--key-id', KeyId, '--material', write('aes', randomBytes(32)), '--description', 'mine'])
    expect(ran).toMatchObject({
      code: 0,
      stderr: expect.stringContaining('wrapping the material for SYMMETRIC_DEFAULT'),
    })
    expect((await kms.describeKey({ KeyId })).KeyMetadata).toMatchObject({ KeyState: 'Enabled' })
    await kms.encrypt({ KeyId, Plaintext: Buffer.from('x') })
  })

  const forms = [
    ['PKCS #8 as PEM', { type: 'pkcs8', format: 'pem' }, ''],
    ['PKCS #8 as DER', { type: 'pkcs8', format: 'der' }, ''],
    ['SEC 1 as PEM', { type: 'sec1', format: 'pem' }, ''],
    ['encrypted PKCS #8', { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' }, 'secret\n'],
  ] as const
  it.each(forms)('imports a private key: %s', async (_, form, input) => {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
    const KeyId = await makeExternal({ KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' })
    const file = write('ec', privateKey.export(form as never) as string | Buffer)
    expect(await run(['--key-id', KeyId, '--material', file, '--output', 'json'], input)).toMatchObject({ code: 0 })
    const { PublicKey } = await kms.getPublicKey({ KeyId })
    expect(createPublicKey({ key: Buffer.from(PublicKey!), format: 'der', type: 'spki' }).equals(publicKey)).toBe(true)
  })

  it('gives the material an end', async () => {
    const KeyId = await makeExternal()
    const ValidTo = new Date(Math.floor(Date.now() / 1_000) * 1_000 + 3_600_000)
    const file = write('ends', randomBytes(32))
    const ran = await run(['--key-id', KeyId, '--material', file, '--expires', ValidTo.toISOString()])
    expect(ran).toMatchObject({ code: 0 })
    expect((await kms.describeKey({ KeyId })).KeyMetadata).toMatchObject({ ValidTo })
  })

  it('takes credentials from a profile', async () => {
    const KeyId = await makeExternal()
    const { accessKeyId, secretAccessKey } = sandbox.description
    const lines = ['[other]', 'aws_access_key_id = x', '[mine]', `aws_access_key_id=${accessKeyId}`]
    const file = write('credentials', [...lines, `aws_secret_access_key = ${secretAccessKey}`].join('\n'))
    const args = ['--key-id', KeyId, '--material', write('profile', randomBytes(32)), '--profile', 'mine']
    expect(await run(args, '', { AWS_SHARED_CREDENTIALS_FILE: file })).toMatchObject({ code: 0 })
  })

  it.each<[string, () => Promise<string[]>, NodeJS.ProcessEnv, string]>([
    [
      'a file that is too short',
      async () => ['--key-id', await makeExternal(), '--material', write('short', randomBytes(31))],
      {},
      'the file has 31 bytes; SYMMETRIC_DEFAULT takes 32 raw bytes',
    ],
    [
      'a file that is no key',
      async () => {
        const KeyId = await makeExternal({ KeySpec: 'RSA_2048', KeyUsage: 'SIGN_VERIFY' })
        return ['--key-id', KeyId, '--material', write('none', randomBytes(64))]
      },
      {},
      'the file holds no private key',
    ],
    ['an absent file', async () => ['--key-id', 'x', '--material', join(folder.path, 'absent')], {}, 'cannot be read'],
    [
      'a key of another origin',
      async () => {
        const { KeyMetadata } = await kms.createKey({})
        return ['--key-id', KeyMetadata!.KeyId!, '--material', write('any', randomBytes(32))]
      },
      {},
      'has Origin AWS_KMS',
    ],
    [
      'a wrong secret',
      async () => ['--key-id', await makeExternal(), '--material', write('any', randomBytes(32))],
      { AWS_SECRET_ACCESS_KEY: 'wrong' },
      'InvalidSignatureException',
    ],
    [
      'an endpoint without a daemon',
      async () => ['--key-id', 'x', '--material', write('any', randomBytes(32)), '--endpoint', 'http://127.0.0.1:1'],
      {},
      'does not answer',
    ],
  ])('says what is wrong with %s', async (_, args, environment, message) => {
    const ran = await run(await args(), '', environment)
    expect(ran).toMatchObject({ code: 1, stderr: expect.stringContaining(message) })
    expect(ran.stderr).not.toContain('    at ')
  })
})
