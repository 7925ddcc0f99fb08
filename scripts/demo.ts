/**
 * `npm run demo -- FILE`: encrypts a file with the AWS Encryption SDK against a daemon, decrypts it again, and says what
 * happened in which world. It is also the shortest example of a client: nothing but the endpoint is Strongroom's.
 *
 * It talks to the daemon of `./scripts/start`; where none runs, to a sandbox of its own. No existing file is overwritten
 * without --force.
 */
import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createReadStream, createWriteStream, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { stat, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { Transform } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  buildClient,
  CommitmentPolicy,
  KmsKeyringNode,
  type KmsNodeClientSupplier,
  type MessageHeader,
} from '@aws-crypto/client-node'
import { InvalidCiphertextException, KMS, NotFoundException } from '@aws-sdk/client-kms'
import { Command } from 'commander'
import { Child } from './bench/child.ts'
import type { SandboxKeeper } from './bench/sandbox-keeper.ts'

const DEFAULT_ENDPOINT = 'http://127.0.0.1:7600'
const DEFAULT_REGION = 'on-prem-1'
const KEY_ALIAS = 'alias/strongroom-demo'
const SAMPLE_BYTES = 2 * 1024 * 1024
const ANSWER_MS = 2_000
/** What the file is bound to. It is not secret: it stands in the file's header. */
const CONTEXT = { purpose: 'strongroom-demo' }

interface Options {
  readonly endpoint?: string
  readonly region?: string
  readonly profile?: string
  readonly key?: string
  readonly outDir?: string
  readonly force: boolean
}

interface Daemon {
  readonly endpoint: string
  readonly region: string
  readonly credentials: { readonly accessKeyId: string; readonly secretAccessKey: string; sessionToken?: string }
}

interface Files {
  readonly plain: string
  readonly encrypted: string
  readonly decrypted: string
}

const EXPLANATION = `
What happened where

  client          asked for one data key (GenerateDataKey) and encrypted the file with it, in frames of 4 KiB,
                  by AES-256-GCM with key commitment and a signature. The file's header holds the encrypted data
                  key and the encryption context. To decrypt, it sent both back (Decrypt).

  service world   checked the signature of each request (SigV4), found the key, and authorised the caller. It
                  passed on the key's EKT, which it cannot open, and the hash of the encryption context.

  crypto world    GenerateDataKey: drew nonce, IV and data key from the token's random generator; derived a DEK in
                  the token from the HBK and the nonce; encrypted the data key there by AES-256-GCM, with key id
                  and context bound in; and let go of the DEK.
                  Decrypt: derived the same DEK again, in the token, and opened the data key. With another context
                  the tag does not match, and nothing comes out.

  The file never left the client; the HBK never left the token in clear; the data key is stored nowhere but
  encrypted.`

const held = new AsyncDisposableStack()
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.once(signal, () => held.disposeAsync().finally(() => process.kill(process.pid, signal)))
}

// A reader that has seen enough, such as head, is no reason to leave files behind.
process.stdout.on('error', () => {})

try {
  await parseCommand()
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
} finally {
  await held.disposeAsync()
}

function parseCommand(): Promise<unknown> {
  return new Command('demo')
    .description('Encrypts a file with the AWS Encryption SDK, decrypts it again, and says what happened where.')
    .argument('[file]', 'the file to encrypt; without it a sample of 2 MiB is made')
    .option('--endpoint <url>', `the daemon (default: ${DEFAULT_ENDPOINT}, or a sandbox when none runs there)`)
    .option('--region <name>', `its region (default: AWS_REGION, or ${DEFAULT_REGION})`)
    .option('--profile <name>', 'the profile of the credentials file to use, whatever the environment says')
    .option('--key <arn>', `ARN of a key or of an alias (default: the key of ${KEY_ALIAS}, made when it is missing)`)
    .option('--out-dir <path>', 'where to write FILE.encrypted and FILE.decrypted (default: next to FILE)')
    .option('--force', 'overwrite them where they exist', false)
    .action((file: string | undefined, options: Options) => demonstrate(file, options))
    .parseAsync()
}

async function demonstrate(file: string | undefined, options: Options): Promise<void> {
  const files = await chooseFiles(file, options)
  const daemon = await findDaemon(options)
  const kms = new KMS({ ...daemon, maxAttempts: 2 })
  const keyArn = options.key ?? (await findKey(kms))
  say(`Key        ${keyArn}`)

  const { encryptStream, decryptStream } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
  // The same client, in types that leave out `undefined` where a response's member may be missing.
  const clientProvider = (() => kms) as unknown as KmsNodeClientSupplier
  const keyring = new KmsKeyringNode({ clientProvider, generatorKeyId: keyArn })
  const flags = options.force ? 'w' : 'wx'

  await run('Encrypted', files.plain, files.encrypted, flags, encryptStream(keyring, { encryptionContext: CONTEXT }))
  const decryption = decryptStream(keyring)
  let header: MessageHeader | undefined
  decryption.once('MessageHeader', (found: MessageHeader) => {
    header = found
  })
  await run('Decrypted', files.encrypted, files.decrypted, flags, decryption)
  await compare(files)
  const { encryptionContext, encryptedDataKeys } = header!
  // The SDK proves that the header is the one the file was encrypted with; what it ought to say, only the client knows.
  if (encryptionContext.purpose !== CONTEXT.purpose) throw new Error('the file was encrypted for another purpose')
  await expectRefusal(kms, keyArn, encryptedDataKeys[0]!.encryptedDataKey, encryptionContext)
  say(EXPLANATION)
  if (file === undefined && options.outDir === undefined) say('\nThe sample and what was made of it are removed.')
}

/** Throws before anything is read, sent or written when a file is in the way. */
async function chooseFiles(file: string | undefined, { outDir, force }: Options): Promise<Files> {
  const plain = file === undefined ? await makeSample() : resolve(file)
  if (!(await stat(plain)).isFile()) throw new Error(`${plain} is not a file`)
  const folder = outDir === undefined ? dirname(plain) : resolve(outDir)
  const files = {
    plain,
    encrypted: join(folder, `${basename(plain)}.encrypted`),
    decrypted: join(folder, `${basename(plain)}.decrypted`),
  }
  const inTheWay = [files.encrypted, files.decrypted].filter(path => existsSync(path))
  if (inTheWay.length > 0 && !force) throw new Error(`${inTheWay.join(' and ')} exists already: --force overwrites it`)
  mkdirSync(folder, { recursive: true })
  return files
}

async function makeSample(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), 'strongroom-demo-'))
  held.defer(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'sample.bin')
  await writeFile(path, randomBytes(SAMPLE_BYTES))
  return path
}

/** A daemon that was named must be there: a sandbox in its place would make a file that nobody can decrypt later. */
async function findDaemon({
  endpoint = DEFAULT_ENDPOINT,
  ...options
}: Options & { endpoint?: string }): Promise<Daemon> {
  if (await answers(endpoint)) {
    const region = options.region ?? process.env.AWS_REGION ?? process.env.AWS_DEFAULT_REGION ?? DEFAULT_REGION
    say(`Daemon     ${endpoint}, region ${region}`)
    return { endpoint, region, credentials: readCredentials(options.profile) }
  }
  if (endpoint !== DEFAULT_ENDPOINT) throw new Error(`no daemon answers at ${endpoint}`)
  say(`Daemon     none answers at ${endpoint}: starting a sandbox, whose keys are gone when this ends`)
  const sandbox = await held.use(new Child<SandboxKeeper>('./sandbox-keeper.ts')).ask('start', {})
  say(`           ${sandbox.endpoint}, region ${sandbox.region}`)
  return { endpoint: sandbox.endpoint, region: sandbox.region, credentials: sandbox }
}

async function answers(endpoint: string): Promise<boolean> {
  const { hostname, port, protocol } = new URL(endpoint)
  const host = hostname.replace(/^\[|\]$/g, '')
  const socket = connect({ host, port: Number(port || (protocol === 'https:' ? 443 : 80)), timeout: ANSWER_MS })
  const { promise, resolve } = Promise.withResolvers<boolean>()
  socket.once('connect', () => resolve(true))
  socket.once('timeout', () => resolve(false))
  socket.once('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}

/** From the environment, as every AWS client does; otherwise from the file that the daemon's first start wrote. */
function readCredentials(profile: string | undefined): Daemon['credentials'] {
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN } = process.env
  if (profile === undefined && AWS_ACCESS_KEY_ID && AWS_SECRET_ACCESS_KEY) {
    const session = AWS_SESSION_TOKEN ? { sessionToken: AWS_SESSION_TOKEN } : {}
    return { accessKeyId: AWS_ACCESS_KEY_ID, secretAccessKey: AWS_SECRET_ACCESS_KEY, ...session }
  }
  const path = join(process.env.STRONGROOM_HOME ?? 'var', 'credentials')
  if (!existsSync(path))
    throw new Error(`no credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or have ${path}`)
  const section = readSection(readFileSync(path, 'utf8'), profile ?? 'default')
  const accessKeyId = section.get('aws_access_key_id')
  const secretAccessKey = section.get('aws_secret_access_key')
  if (!accessKeyId || !secretAccessKey) throw new Error(`${path} has no access key for "${profile ?? 'default'}"`)
  return { accessKeyId, secretAccessKey }
}

/** The `name = value` lines under `[section]` of an INI file. */
function readSection(text: string, section: string): Map<string, string> {
  const values = new Map<string, string>()
  let current = ''
  for (const line of text.split(/\r?\n/)) {
    const head = /^\s*\[\s*(.+?)\s*\]/.exec(line)
    const pair = /^\s*([^#;=\s]+)\s*=\s*(.*?)\s*$/.exec(line)
    if (head !== null) current = head[1]!
    else if (pair !== null && current === section) values.set(pair[1]!, pair[2]!)
  }
  return values
}

/** The ARN of the demo's key: the Encryption SDK takes nothing shorter. */
async function findKey(kms: KMS): Promise<string> {
  try {
    return (await kms.describeKey({ KeyId: KEY_ALIAS })).KeyMetadata!.Arn!
  } catch (error) {
    if (!(error instanceof NotFoundException)) throw error
  }
  const { KeyMetadata } = await kms.createKey({ Description: 'npm run demo' })
  await kms.createAlias({ AliasName: KEY_ALIAS, TargetKeyId: KeyMetadata!.KeyId! })
  return KeyMetadata!.Arn!
}

/** Streams one file through the SDK into another. What is half written at the end is removed. */
async function run(
  what: string,
  from: string,
  to: string,
  flags: string,
  through: NodeJS.ReadWriteStream,
): Promise<void> {
  const { size } = await stat(from)
  const startedAt = performance.now()
  const output = createWriteStream(to, { flags })
  await once(output, 'open')
  let whole = false
  held.defer(() => {
    if (!whole) rmSync(to, { force: true })
  })
  await pipeline(createReadStream(from), progress(what, size), through, output)
  whole = true
  const seconds = ((performance.now() - startedAt) / 1_000).toFixed(2)
  say(`${what}  ${from} (${size.toLocaleString('en')} bytes)\n       to  ${to} (${seconds} s)`)
}

/** Passes bytes on and tells stderr how far it is: every percent on a terminal, every quarter in a log. */
function progress(what: string, totalBytes: number): Transform {
  const step = process.stderr.isTTY ? 1 : 25
  let bytes = 0
  let shown = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, pass) {
      bytes += chunk.length
      const percent = Math.floor(((bytes / totalBytes) * 100) / step) * step
      if (percent > shown) {
        shown = percent
        process.stderr.write(process.stderr.isTTY ? `\r${what} ${percent} %` : `${what} ${percent} %\n`)
      }
      pass(null, chunk)
    },
    flush(done) {
      if (process.stderr.isTTY) process.stderr.write('\r\x1b[K')
      done()
    },
  })
}

async function compare({ plain, encrypted, decrypted }: Files): Promise<void> {
  const [before, sealed, after] = await Promise.all([plain, encrypted, decrypted].map(sha256))
  if (before !== after) throw new Error(`${decrypted} differs from ${plain}`)
  say(`SHA-256    ${before}  before, and after\n           ${sealed}  encrypted`)
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

/** Asks for the file's data key with one word of its encryption context changed. Throws when that is granted. */
async function expectRefusal(
  kms: KMS,
  keyArn: string,
  encryptedDataKey: Uint8Array,
  context: Readonly<Record<string, string>>,
): Promise<void> {
  const wrong = { ...context, purpose: 'something-else' }
  try {
    await kms.decrypt({ KeyId: keyArn, CiphertextBlob: encryptedDataKey, EncryptionContext: wrong })
  } catch (error) {
    if (!(error instanceof InvalidCiphertextException)) throw error
    say(`Refused    the data key with purpose "${wrong.purpose}" in place of "${context.purpose}": ${error.name}`)
    return
  }
  throw new Error('the data key was given out under a wrong encryption context')
}

function say(text: string): void {
  process.stdout.write(`${text}\n`)
}
