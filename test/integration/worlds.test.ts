/**
 * The two worlds of design.md 1, looked at from outside while they work: what each process has mapped, holds in memory, was
 * started with and listens on, and what the daemon writes down.
 */
import { spawn } from 'node:child_process'
import { randomBytes, randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { CreateKeyRequest, KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { environmentFor } from '../../src/hsm/pool/allocator.ts'
import { HOST_ENTRY, spawnHost } from '../../src/hsm/pool/host-process.ts'
import { importMaterial } from '../support/import.ts'
import { bytesOf, makeKnownKeys, textsOf } from '../support/key-bytes.ts'
import { type Load, startLoad } from '../support/load.ts'
import { countInMemory, mappedFiles } from '../support/memory.ts'
import { listProcesses, waitUntil } from '../support/processes.ts'
import { type Sandbox, startSandbox } from '../support/sandbox.ts'
import { makeFolder } from '../support/tokens.ts'

const PKCS11 = /softhsm|pkcs11|p11-kit|koffi/i
const LANES = 3
const USES = 20

const folder = makeFolder()
let sandbox: Sandbox
let kms: KMS
let KeyId: string
let load: Load
let pins: string[]

beforeAll(async () => {
  sandbox = await startSandbox({ settings: { log: { level: 'debug' } } })
  kms = sandbox.client()
  KeyId = (await kms.createKey({})).KeyMetadata!.KeyId!
  load = startLoad(LANES, async () => {
    const { CiphertextBlob } = await kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })
    await kms.decrypt({ CiphertextBlob: CiphertextBlob! })
  })
  pins = filesUnder(sandbox.description.dir)
    .filter(path => /pin[^/]*$/.test(path))
    .map(path => readFileSync(path, 'utf8').trim())
  await waitUntil(() => load.answered() > 200, 20_000)
})

afterAll(async () => {
  await load?.stop()
  await sandbox?.stop()
  folder.remove()
})

const filesUnder = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter(entry => !entry.isDirectory())
    .map(({ parentPath, name }) => join(parentPath, name))

describe('the service process', () => {
  it('maps no PKCS#11 module, and none of the packages that load one', () => {
    const { pid, hsmHostPids } = sandbox.description
    expect(mappedFiles(pid).filter(path => PKCS11.test(path))).toEqual([])
    for (const host of hsmHostPids) expect(mappedFiles(host).some(path => /softhsm/.test(path))).toBe(true)
  })

  it('holds no PIN and no long-term secret in its memory, after requests that were signed with it', async () => {
    expect(pins).toHaveLength(3)
    const { pid, hsmHostPids, secretAccessKey, accessKeyId } = sandbox.description
    const [identifier, secret, ...found] = await countInMemory(pid, [accessKeyId, secretAccessKey, ...pins])
    // The search does find what is there.
    expect(identifier).toBeGreaterThan(0)
    expect([secret, ...found]).toEqual([0, 0, 0, 0])
    for (const host of hsmHostPids) {
      const [inHost, ...pinsInHost] = await countInMemory(host, [secretAccessKey, ...pins])
      expect(inHost).toBe(0)
      expect(pinsInHost.some(count => count > 0)).toBe(true)
    }
  })

  it('listens on its two ports and on the admin socket, and the hosts on nothing', () => {
    const { pid, hsmHostPids, endpoint, adminEndpoint, dir } = sandbox.description
    const ports = [endpoint, adminEndpoint].map(url => `tcp ${new URL(url).port}`)
    expect(listenersOf(pid)).toEqual([...ports, `unix ${join(dir, 'admin.sock')}`].toSorted())
    for (const host of hsmHostPids) expect(listenersOf(host)).toEqual([])
  })

  it('shares with each host a socket that has no name', () => {
    for (const host of sandbox.description.hsmHostPids) {
      const [, inode] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${host}/fd/3`))!
      expect(unixSockets().get(inode!)).toEqual({ listening: false, path: '' })
      const tcp = ['tcp', 'tcp6', 'udp', 'udp6'].flatMap(table => socketTable(table))
      const inodes = socketsOf(host)
      expect(tcp.filter(entry => inodes.has(entry.inode))).toEqual([])
    }
  })
})

describe('imported material and private keys', () => {
  it('are found in the memory of a process that does hold them', async () => {
    const secrets = makeKnownKeys().flatMap(each => each.secrets)
    const holder = spawn(process.execPath, ['-e', HOLD_WHAT_IS_READ], { stdio: ['pipe', 'pipe', 'inherit'] })
    try {
      holder.stdin.end(Buffer.concat(secrets))
      await once(holder.stdout, 'data')
      const counts = await countInMemory(holder.pid!, secrets.flatMap(bytesOf))
      expect(counts.filter(count => count === 0)).toEqual([])
    } finally {
      holder.kill('SIGKILL')
    }
  })

  it('are never in the memory of the service process, nor in any file or line that it writes', async () => {
    const keys = makeKnownKeys()
    for (const { kind, algorithm, material } of keys) {
      const { KeyId } = (await kms.createKey({ ...kind, Origin: 'EXTERNAL' })).KeyMetadata!
      await importMaterial(kms, KeyId!, material, {}, algorithm)
      await useMuch(KeyId!, kind)
    }
    const { pid, dir } = sandbox.description
    const secrets = keys.flatMap(each => each.secrets)
    const bytes = secrets.flatMap(bytesOf)
    const seen = keys.map(({ publicPart }) => publicPart).filter(part => part.length > 0)
    const counts = await countInMemory(pid, [...seen, ...bytes])
    // The search does find what is there: public keys.
    for (const count of counts.slice(0, seen.length)) expect(count).toBeGreaterThan(0)
    expect(counts.slice(seen.length)).toEqual(bytes.map(() => 0))
    const written = filesUnder(dir)
      .filter(path => !path.endsWith('.sock'))
      .map(path => readFileSync(path))
      .concat(Buffer.from(sandbox.log()))
    const forms = [...bytes, ...secrets.flatMap(textsOf)]
    expect(forms.filter(form => written.some(file => file.includes(form)))).toEqual([])
  }, 300_000)
})

/** Bytes as they come, and backwards. */
const HOLD_WHAT_IS_READ = `
  const held = require('node:fs').readFileSync(0)
  globalThis.kept = [held, Buffer.from(held).reverse()]
  console.log('held')
  setInterval(() => globalThis.kept, 1_000)
`

async function useMuch(KeyId: string, { KeyUsage }: CreateKeyRequest): Promise<void> {
  const Message = Buffer.from('attack at dawn')
  const { KeyMetadata } = await kms.describeKey({ KeyId })
  const SigningAlgorithm = KeyMetadata!.SigningAlgorithms?.[0]
  for (let times = 0; times < USES; times += 1) {
    if (KeyUsage === 'SIGN_VERIFY') await kms.sign({ KeyId, Message, SigningAlgorithm })
    else if (KeyUsage === 'GENERATE_VERIFY_MAC') await kms.generateMac({ KeyId, Message, MacAlgorithm: 'HMAC_SHA_256' })
    else await kms.decrypt({ CiphertextBlob: (await kms.encrypt({ KeyId, Plaintext: Message })).CiphertextBlob })
  }
}

describe('what processes are started with', () => {
  it('has no PIN and no secret, on any command line of this machine or in the environment of ours', () => {
    const { pid, hsmHostPids, secretAccessKey, dir } = sandbox.description
    const secrets = [...pins, secretAccessKey]
    const commands = listProcesses().map(({ command }) => command)
    expect(commands.some(command => command.includes(dir))).toBe(true)
    expect(commands.filter(command => secrets.some(secret => command.includes(secret)))).toEqual([])
    const environments = [pid, ...hsmHostPids].map(each => environmentOf(each).join('\n'))
    expect(environments.filter(text => secrets.some(secret => text.includes(secret)))).toEqual([])
  })

  it('is next to nothing for an HSM host', () => {
    const allocator = Object.keys(environmentFor('jemalloc'))
    const inherited = ['LANG', 'PATH', 'TZ'].filter(name => name in process.env)
    for (const host of sandbox.description.hsmHostPids)
      expect(namesIn(environmentOf(host))).toEqual([...inherited, ...allocator].sort())
    expect(namesIn(environmentOf(sandbox.description.pid))).toContain('HOME')
  })

  it('leaves out of a host what the environment of its parent holds for others', async () => {
    const polluted = {
      AWS_SECRET_ACCESS_KEY: 'x',
      npm_config_registry: 'x',
      NODE_OPTIONS: '--no-warnings',
      LD_PRELOAD: '',
    }
    Object.assign(process.env, polluted)
    const { child, channel } = spawnHost(HOST_ENTRY, () => {})
    for (const name of Object.keys(polluted)) delete process.env[name]
    const ended = new Promise(resolve => child.once('close', resolve))
    expect(namesIn(environmentOf(child.pid!)).filter(name => name in polluted)).toEqual([])
    channel.end()
    await ended
  })
})

describe('the state folder', () => {
  it('is open to nobody else, nor is any file in it', () => {
    const { dir } = sandbox.description
    const mode = (path: string) => statSync(path).mode & 0o777
    expect(mode(dir)).toBe(0o700)
    const files = filesUnder(dir)
    for (const name of ['strongroom.db', 'strongroom.db-wal', 'admin.sock', 'credentials', 'strongroom.yaml'])
      expect(files).toContain(join(dir, name))
    expect(files.filter(path => (mode(path) & 0o177) !== 0).map(path => [path, mode(path).toString(8)])).toEqual([])
  })
})

describe('the log', () => {
  it('holds no plaintext, data key, ciphertext, secret or PIN, errors included', async () => {
    expect(await load.stop()).toMatchObject({ failures: [] })
    const secrets: (string | Uint8Array | undefined)[] = [...pins, sandbox.description.secretAccessKey]
    const secret = (bytes = 24) => {
      const made = randomBytes(bytes)
      secrets.push(made)
      return made
    }
    const { KeyId: other } = (await kms.createKey({})).KeyMetadata!
    const { KeyId: disabled } = (await kms.createKey({})).KeyMetadata!
    await kms.disableKey({ KeyId: disabled })
    const EncryptionContext = { purpose: 'test' }

    const encrypted = await kms.encrypt({ KeyId, Plaintext: secret(), EncryptionContext })
    const dataKey = await kms.generateDataKey({ KeyId, KeySpec: 'AES_256', EncryptionContext })
    const without = await kms.generateDataKeyWithoutPlaintext({ KeyId, NumberOfBytes: 64 })
    const random = await kms.generateRandom({ NumberOfBytes: 32 })
    const CiphertextBlob = encrypted.CiphertextBlob!
    const moved = await kms.reEncrypt({
      CiphertextBlob,
      SourceEncryptionContext: EncryptionContext,
      DestinationKeyId: other,
    })
    const opened = [
      await kms.decrypt({ CiphertextBlob: moved.CiphertextBlob! }),
      await kms.decrypt({ CiphertextBlob: without.CiphertextBlob! }),
      await kms.decrypt({ CiphertextBlob: dataKey.CiphertextBlob!, EncryptionContext }),
    ]
    secrets.push(...[encrypted, dataKey, without, moved].map(answer => answer.CiphertextBlob))
    secrets.push(...[dataKey, random, ...opened].map(answer => answer.Plaintext))

    const tampered = Uint8Array.from(CiphertextBlob, (byte, at) => (at === 90 ? byte ^ 1 : byte))
    const text = () => {
      const made = `plain-${randomBytes(12).toString('hex')}`
      secrets.push(made)
      return made
    }
    const refused: readonly (readonly [name: string, request: Promise<unknown>])[] = [
      ['InvalidCiphertextException', kms.decrypt({ CiphertextBlob })],
      ['InvalidCiphertextException', kms.decrypt({ CiphertextBlob: tampered, EncryptionContext })],
      ['InvalidCiphertextException', kms.decrypt({ CiphertextBlob: secret(200) })],
      ['InvalidCiphertextException', kms.reEncrypt({ CiphertextBlob: tampered, DestinationKeyId: other })],
      ['IncorrectKeyException', kms.decrypt({ CiphertextBlob, EncryptionContext, KeyId: other })],
      ['ValidationException', kms.encrypt({ KeyId, Plaintext: secret(4_097) })],
      ['ValidationException', kms.decrypt({ CiphertextBlob: secret(6_145) })],
      ['DisabledException', kms.encrypt({ KeyId: disabled, Plaintext: secret() })],
      ['NotFoundException', kms.encrypt({ KeyId: 'alias/absent', Plaintext: secret() })],
      ['NotFoundException', kms.encrypt({ KeyId: randomUUID(), Plaintext: secret() })],
      ['DryRunOperationException', kms.encrypt({ KeyId, Plaintext: secret(), DryRun: true })],
      ['SerializationException', sendBody('Encrypt', `{"KeyId":"${KeyId}","Plaintext":"${text()}"`)],
      ['SerializationException', sendBody('Encrypt', { KeyId, Plaintext: `${text()}!` })],
      ['SerializationException', sendBody('Encrypt', { KeyId, Plaintext: { a: text() } })],
      ['SerializationException', sendBody('Encrypt', { KeyId, Plaintext: [text()] })],
      ['SerializationException', sendBody('Decrypt', { CiphertextBlob: { a: text() } })],
      ['ValidationException', sendBody('Encrypt', { Plaintext: secret().toString('base64') })],
      ['ValidationException', sendBody('Encrypt', { KeyId, Plaintextt: text() })],
      ['UnknownOperationException', sendBody('NoSuchOperation', { Plaintext: text() })],
    ]
    await Promise.all(refused.map(([name, request]) => expect(request).rejects.toMatchObject({ name })))

    const expected = [
      ...refused.map(([name]) => `"outcome":"${name}"`),
      ...['Encrypt', 'Decrypt', 'ReEncrypt', 'GenerateDataKey', 'GenerateRandom'].map(
        operation => `"operation":"${operation}","outcome":"ok"`,
      ),
    ]
    const missing = () => expected.filter(part => !sandbox.log().includes(part))
    await waitUntil(
      () => missing().length === 0,
      5_000,
      () => `not in the log: ${missing().join(' ')}`,
    )
    const log = sandbox.log()
    expect(secrets.length).toBeGreaterThan(25)
    expect(secrets.flatMap(formsOf).filter(form => log.includes(form))).toEqual([])
  })
})

/** A secret as it could have been written: text, base64, hex, or a list of numbers; a long one by its first bytes. */
function formsOf(value: string | Uint8Array | undefined): string[] {
  if (typeof value === 'string') return [value, Buffer.from(value).toString('base64').replace(/=+$/, '')]
  const bytes = Buffer.from(value!)
  expect(bytes.length).toBeGreaterThanOrEqual(24)
  // The header of a ciphertext names its key, which is no secret; what follows it is.
  const parts = [
    bytes.subarray(-21),
    bytes.subarray(-24, -3),
    bytes.length > 100 ? bytes.subarray(57, 78) : bytes.subarray(0, 21),
  ]
  return parts.flatMap(part => [part.toString('base64'), part.toString('hex'), [...part].join(',')])
}

/** A request whose body the SDK would not write. */
function sendBody(operation: string, body: object | string): Promise<unknown> {
  const client = sandbox.client()
  const payload = typeof body === 'string' ? body : JSON.stringify(body)
  client.middlewareStack.add(
    next => args => {
      const request = args.request as { body: string; headers: Record<string, string> }
      request.body = payload
      request.headers['content-length'] = String(Buffer.byteLength(payload))
      request.headers['x-amz-target'] = `TrentService.${operation}`
      return next(args)
    },
    { step: 'build', priority: 'low' },
  )
  return client.listKeys({})
}

interface SocketEntry {
  readonly inode: string
  readonly listening: boolean
  readonly port: number
}

function socketTable(name: string): SocketEntry[] {
  return readFileSync(`/proc/net/${name}`, 'utf8')
    .trim()
    .split('\n')
    .slice(1)
    .map(line => {
      const fields = line.trim().split(/\s+/)
      const port = Number.parseInt(fields[1]!.split(':')[1]!, 16)
      return { inode: fields[9]!, listening: fields[3] === '0A', port }
    })
}

function unixSockets(): Map<string, { listening: boolean; path: string }> {
  const lines = readFileSync('/proc/net/unix', 'utf8').trim().split('\n').slice(1)
  return new Map(
    lines.map(line => {
      const [, , , flags, , , inode, path = ''] = line.trim().split(/\s+/)
      return [inode!, { listening: (Number.parseInt(flags!, 16) & 0x10000) !== 0, path }]
    }),
  )
}

function socketsOf(pid: number): Set<string> {
  const links = readdirSync(`/proc/${pid}/fd`).flatMap(fd => {
    try {
      return [readlinkSync(`/proc/${pid}/fd/${fd}`)]
    } catch {
      return []
    }
  })
  return new Set(links.flatMap(link => /^socket:\[(\d+)\]$/.exec(link)?.[1] ?? []))
}

function listenersOf(pid: number): string[] {
  const inodes = socketsOf(pid)
  const tcp = ['tcp', 'tcp6'].flatMap(socketTable).filter(entry => entry.listening && inodes.has(entry.inode))
  const unix = [...unixSockets()].filter(([inode, { listening }]) => listening && inodes.has(inode))
  return [...tcp.map(({ port }) => `tcp ${port}`), ...unix.map(([, { path }]) => `unix ${path}`)].toSorted()
}

function environmentOf(pid: number): string[] {
  return readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0').filter(Boolean)
}

const namesIn = (environment: readonly string[]) => environment.map(entry => entry.split('=', 1)[0]!).toSorted()
