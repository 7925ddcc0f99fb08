/** The public listener with a certificate: what it speaks, with whom, and how the certificate is changed under it. */
import { chmodSync, copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect, type SecureVersion, type TLSSocket } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { makeInstance } from '../support/instance.ts'
import { awsEnvironment, run, type Sandbox, startSandbox } from '../support/sandbox.ts'

const RELOAD_MS = 15_000

const folder = mkdtempSync(join(tmpdir(), 'strongroom-tls-'))
const certificateFile = join(folder, 'certificate.pem')
const keyFile = join(folder, 'key.pem')
let sandbox: Sandbox

/** A certificate for 127.0.0.1 that signs itself, in `<name>.pem` and `<name>.key`. */
async function makeCertificate(name: string): Promise<{ certificate: string; key: string }> {
  const [certificate, key] = [join(folder, `${name}.pem`), join(folder, `${name}.key`)]
  const subject = ['-subj', `/CN=${name}`, '-addext', 'subjectAltName=IP:127.0.0.1,DNS:localhost']
  const made = await run('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...[...subject, '-keyout', key, '-out', certificate],
  ])
  expect(made.code).toBe(0)
  chmodSync(key, 0o600)
  return { certificate, key }
}

async function install(name: string): Promise<void> {
  const { certificate, key } = await makeCertificate(name)
  copyFileSync(key, keyFile)
  chmodSync(keyFile, 0o600)
  copyFileSync(certificate, certificateFile)
}

function handshake(options: { maxVersion?: SecureVersion; minVersion?: SecureVersion; ciphers?: string } = {}) {
  const { hostname, port } = new URL(sandbox.description.endpoint)
  return new Promise<TLSSocket>((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false, ...options }, () => {
      socket.destroy()
      resolve(socket)
    })
    socket.once('error', reject)
  })
}

async function nameShown(): Promise<string> {
  const { hostname, port } = new URL(sandbox.description.endpoint)
  return new Promise((resolve, reject) => {
    const socket = connect({ host: hostname, port: Number(port), rejectUnauthorized: false }, () => {
      resolve(String(socket.getPeerCertificate().subject.CN))
      socket.destroy()
    })
    socket.once('error', reject)
  })
}

async function until(name: string): Promise<void> {
  for (const started = Date.now(); (await nameShown()) !== name; ) {
    if (Date.now() - started > RELOAD_MS) throw new Error(`the certificate ${name} is not in use`)
    await new Promise(resolve => setTimeout(resolve, 100))
  }
}

beforeAll(async () => {
  await install('first')
  sandbox = await startSandbox({ tokens: 1, settings: { listen: { tls: { certificateFile, keyFile } } } })
})

afterAll(async () => {
  await sandbox?.stop()
  rmSync(folder, { recursive: true })
})

describe('a listener with a certificate', () => {
  it('serves the AWS CLI, which checks it against its CA bundle', async () => {
    const { endpoint } = sandbox.description
    expect(endpoint).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/)
    const aws = (args: readonly string[], env: NodeJS.ProcessEnv = {}) =>
      run('/usr/bin/aws', ['--endpoint-url', endpoint, '--output', 'json', ...args], {
        ...awsEnvironment(sandbox.description),
        ...env,
      })
    const identity = await aws(['--ca-bundle', certificateFile, 'sts', 'get-caller-identity'])
    expect(identity).toMatchObject({ code: 0, stderr: '' })
    const created = await aws(['kms', 'create-key'], { AWS_CA_BUNDLE: certificateFile })
    expect(created).toMatchObject({ code: 0, stderr: '' })
    const untrusting = await aws(['kms', 'list-keys'])
    expect(untrusting.code).not.toBe(0)
    expect(untrusting.stderr).toContain('SSL validation failed')
  })

  it('tells policies that the transport is secure', async () => {
    const document = JSON.stringify({
      Version: '2012-10-17',
      Statement: [
        {
          ...{ Effect: 'Allow', Action: 'kms:ListKeys', Resource: '*' },
          Condition: { Bool: { 'aws:SecureTransport': 'true' } },
        },
      ],
    })
    const strongroom = (...args: string[]) =>
      run(new URL('../../scripts/strongroom', import.meta.url).pathname, [
        ...['identity', ...args, '-o', 'json', '--config', `${sandbox.description.dir}/strongroom.yaml`],
      ])
    const file = join(folder, 'policy.json')
    writeFileSync(file, document)
    await strongroom('user', 'create', 'careful')
    expect(await strongroom('user', 'put-policy', 'careful', 'secure', file)).toMatchObject({ code: 0, stderr: '' })
    const { stdout } = await strongroom('access-key', 'create', 'careful')
    const { accessKeyId, secretAccessKey } = JSON.parse(stdout)
    const env = {
      ...awsEnvironment({ ...sandbox.description, accessKeyId, secretAccessKey }),
      AWS_CA_BUNDLE: certificateFile,
    }
    const listed = await run('/usr/bin/aws', ['--endpoint-url', sandbox.description.endpoint, 'kms', 'list-keys'], env)
    expect(listed).toMatchObject({ code: 0, stderr: '' })
  })

  it('speaks TLS 1.3 and 1.2, with forward secrecy, and nothing older', async () => {
    expect((await handshake()).getProtocol).toBeDefined()
    await expect(handshake({ maxVersion: 'TLSv1.2' })).resolves.toBeDefined()
    await expect(
      handshake({ minVersion: 'TLSv1', maxVersion: 'TLSv1.1', ciphers: 'ALL:@SECLEVEL=0' }),
    ).rejects.toThrow()
    const weak = { maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-SHA256:AES128-GCM-SHA256' } as const
    await expect(handshake(weak)).rejects.toThrow()
  })

  it('does not answer plain HTTP', async () => {
    const { port } = new URL(sandbox.description.endpoint)
    const plain = new Promise((resolve, reject) => {
      request({ host: '127.0.0.1', port, method: 'POST' }, resolve).once('error', reject).end('{}')
    })
    await expect(plain).rejects.toThrow()
  })

  it('takes another certificate when its files change, and at once on SIGHUP', async () => {
    expect(await nameShown()).toBe('first')
    await install('second')
    process.kill(sandbox.description.pid, 'SIGHUP')
    await until('second')
    await install('third')
    await until('third')
  })

  it('keeps the one in use when the files are no pair, or the key is open to others', async () => {
    const { key } = await makeCertificate('stranger')
    await install('kept')
    await until('kept')
    copyFileSync(key, keyFile)
    process.kill(sandbox.description.pid, 'SIGHUP')
    await install('fourth')
    chmodSync(keyFile, 0o644)
    process.kill(sandbox.description.pid, 'SIGHUP')
    await new Promise(resolve => setTimeout(resolve, 500))
    expect(await nameShown()).toBe('kept')
    expect(sandbox.log()).toContain('is open to other users: chmod 600 it')
    expect(sandbox.log()).toContain('certificate not reloaded: the one in use stays')
    chmodSync(keyFile, 0o600)
    process.kill(sandbox.description.pid, 'SIGHUP')
    await until('fourth')
    await expect(handshake()).resolves.toBeDefined()
  })
})

describe('strongroom serve', () => {
  it('does not start with a key that others may read', async () => {
    const instance = await makeInstance(['a'])
    try {
      const { certificate, key } = await makeCertificate('open')
      chmodSync(key, 0o644)
      instance.configure(['a'], { listen: { port: 0, tls: { certificateFile: certificate, keyFile: key } } })
      await instance.init()
      expect(await instance.run(['serve'])).toMatchObject({
        ...{ code: 1, stderr: expect.stringContaining(`key file ${key} is open to other users: chmod 600 it`) },
      })
    } finally {
      instance.remove()
    }
  })
})
