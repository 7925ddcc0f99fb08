/**
 * What programs rely on when they run `npm run sandbox`: one line of JSON when it is ready, its options, and that nothing is
 * left of it, however it ends.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { isAlive, listProcesses, waitUntilGone } from '../support/processes.ts'
import { connectionOf, type SandboxDescription } from '../support/sandbox.ts'
import { makeFolder } from '../support/tokens.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const SCRIPT = ['./scripts/node', 'scripts/sandbox.ts']
const NPM = ['npm', 'run', '-s', 'sandbox', '--']
const GONE_MS = 5_000

interface Started {
  readonly child: ChildProcess
  /** The first line on stdout, parsed; rejects when there is none. */
  readonly ready: Promise<SandboxDescription>
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  stdout(): string
  stderr(): string
}

const folder = makeFolder()
const started: Started[] = []

afterAll(async () => {
  for (const { child } of started) child.kill('SIGTERM')
  await Promise.all(started.map(({ ended }) => ended))
  folder.remove()
})

function start([command, ...args]: readonly string[], options: readonly string[] = []): Started {
  const { PATH, HOME, STRONGROOM_TEST_RUN } = process.env
  const env = { PATH, HOME, STRONGROOM_TEST_RUN, TMPDIR: folder.path }
  const child = spawn(command!, [...args, ...options], { cwd: ROOT, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let [stdout, stderr] = ['', '']
  const ended: Started['ended'] = new Promise(resolve =>
    child.once('close', (code, signal) => resolve({ code, signal })),
  )
  const line = new Promise<SandboxDescription>((resolve, reject) => {
    child.stdout.setEncoding('utf8').on('data', text => {
      stdout += text
      if (stdout.includes('\n')) resolve(JSON.parse(stdout.split('\n', 1)[0]!))
    })
    child.stderr.setEncoding('utf8').on('data', text => {
      stderr += text
    })
    ended.then(() => reject(new Error(`it ended before it was ready:\n${stderr}`)))
  })
  line.catch(() => {})
  const sandbox = { child, ready: line, ended, stdout: () => stdout, stderr: () => stderr }
  started.push(sandbox)
  return sandbox
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => server.once('listening', resolve))
  const { port } = server.address() as { port: number }
  await new Promise(resolve => server.close(resolve))
  return port
}

const processesOf = (dir: string) => listProcesses().filter(({ command }) => command.includes(dir))

const filesUnder = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name))

describe('two sandboxes side by side', () => {
  let plain: Started
  let furnished: Started
  let port: number
  let descriptions: readonly [SandboxDescription, SandboxDescription]

  beforeAll(async () => {
    port = await freePort()
    const config = join(folder.path, 'settings.yaml')
    writeFileSync(
      config,
      [
        'log: { level: debug }',
        'hsm: { cachedHbks: 16 }',
        'stateDir: /nowhere',
        'listen: { host: 127.0.0.1, port: 1 }',
        'regions: [{ name: elsewhere-1, tokens: [] }]',
      ].join('\n'),
    )
    const regions = ['--region', 'on-prem-2', '--region', 'eu-west-1', '--region', 'on-prem-2']
    plain = start(SCRIPT, ['--port', String(port)])
    furnished = start(NPM, [...regions, '--tokens', '1', '--account', '123456789012', '--config', config])
    descriptions = await Promise.all([plain.ready, furnished.ready])
  })

  it('say in one line of JSON where they are', () => {
    const address = expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/)
    const described = {
      endpoint: address,
      adminEndpoint: address,
      region: expect.any(String),
      regions: expect.any(Array),
      accountId: expect.stringMatching(/^\d{12}$/),
      callerArn: expect.any(String),
      accessKeyId: expect.stringMatching(/^AKIA[A-Z2-7]{16}$/),
      secretAccessKey: expect.stringMatching(/^[A-Za-z0-9+/]{40}$/),
      pid: expect.any(Number),
      servicePids: [],
      hsmHostPids: [expect.any(Number), expect.any(Number)],
      dir: expect.stringMatching(/^\//),
    }
    expect(descriptions).toEqual([described, described])
    for (const { stdout } of [plain, furnished]) expect(stdout().match(/\n/g)).toHaveLength(1)
    expect(new Set(descriptions.flatMap(({ endpoint, adminEndpoint }) => [endpoint, adminEndpoint])).size).toBe(4)
  })

  it('have the defaults', () => {
    expect(descriptions[0]).toMatchObject({
      ...{ endpoint: `http://127.0.0.1:${port}`, region: 'on-prem-1', regions: ['on-prem-1'] },
      ...{ accountId: '000000000001', callerArn: 'arn:aws:iam::000000000001:user/admin' },
    })
  })

  it('have what the options ask for: regions with a token each, account, more settings', async () => {
    const [, description] = descriptions
    const regions = ['on-prem-2', 'eu-west-1']
    const accountId = '123456789012'
    expect(description).toMatchObject({ region: 'on-prem-2', regions, accountId })
    expect(description.callerArn).toBe(`arn:aws:iam::${accountId}:user/admin`)
    for (const region of regions) {
      const kms = new KMS({ ...connectionOf(description), region, maxAttempts: 1 })
      const { Keys } = await kms.listKeys({})
      const { KeyMetadata } = await kms.createKey({})
      expect([Keys, KeyMetadata?.AWSAccountId, KeyMetadata?.Arn?.split(':')[3]]).toEqual([[], accountId, region])
      kms.destroy()
    }
    const readiness = (await (await fetch(`${description.adminEndpoint}/readyz`)).json()) as { regions: unknown[] }
    expect(readiness.regions).toMatchObject(regions.map(region => ({ region, hsms: [{ hsm: `${region}-1` }] })))
    // A successful read leaves a line at level debug only.
    expect(furnished.stderr()).toMatch(/"level":"debug".*"operation":"ListKeys"/)
    const configuration = parse(readFileSync(join(description.dir, 'strongroom.yaml'), 'utf8'))
    expect(configuration).toMatchObject({ stateDir: description.dir, hsm: { cachedHbks: 16 } })
  })

  it('keep PINs where only their owner reads them', () => {
    for (const { dir } of descriptions) {
      expect(dir).not.toMatch(/softhsm|pkcs11/i)
      expect(statSync(dir).mode & 0o777).toBe(0o700)
      const pins = filesUnder(join(dir, 'hsm', 'pins'))
      expect(pins).toHaveLength(3)
      for (const path of pins) {
        expect(path).toMatch(/pin/)
        expect(statSync(path).mode & 0o777).toBe(0o600)
        expect(readFileSync(path, 'utf8').trim().length).toBeGreaterThanOrEqual(8)
      }
    }
  })

  it('say so when the port is taken', async () => {
    const third = start(SCRIPT, ['--port', String(port), '--tokens', '1'])
    expect(await third.ended).toEqual({ code: 1, signal: null })
    expect(third.stderr()).toContain(`port ${port} on 127.0.0.1 is taken by another process`)
    expect(third.stdout()).toBe('')
  })

  it('end, with nothing left, when npm is told to', async () => {
    const { dir, pid, hsmHostPids } = descriptions[1]
    expect(processesOf(dir).length).toBeGreaterThan(0)
    furnished.child.kill('SIGTERM')
    await furnished.ended
    await waitUntilGone([pid, ...hsmHostPids], GONE_MS)
    expect(processesOf(dir)).toEqual([])
    expect(readdirSync(folder.path).map(name => join(folder.path, name))).not.toContain(dir)
    expect(isAlive(descriptions[0].pid)).toBe(true)
  })

  it('end with a code other than 0, with nothing left, when the service is killed', async () => {
    const { dir, pid, hsmHostPids } = descriptions[0]
    process.kill(pid, 'SIGKILL')
    expect(await plain.ended).toEqual({ code: 1, signal: null })
    expect(plain.stderr()).toContain('sandbox: the service ended (SIGKILL)\n')
    await waitUntilGone(hsmHostPids, GONE_MS)
    expect(readdirSync(folder.path).map(name => join(folder.path, name))).not.toContain(dir)
  })
})

describe('a sandbox that is told to stop while it starts', () => {
  it.each([
    ['SIGTERM', 'created domain'],
    ['SIGHUP', 'made access key'],
    ['SIGINT', '"listening"'],
  ] as const)('by %s (%s) ends with code 0 and leaves nothing', async (signal, moment) => {
    const sandbox = start(SCRIPT)
    sandbox.child.stderr!.on('data', () => sandbox.stderr().includes(moment) && sandbox.child.kill(signal))
    expect(await sandbox.ended).toEqual({ code: 0, signal: null })
    expect(sandbox.stderr()).toContain(moment)
    expect(sandbox.stdout()).toBe('')
    expect(processesOf(folder.path)).toEqual([])
    expect(readdirSync(folder.path).filter(name => name.startsWith('strongroom-'))).toEqual([])
  })
})

describe('options that make no sense', () => {
  const refusals: readonly (readonly [options: string, message: RegExp])[] = [
    ['--port 70000', /'--port <N>'.*a whole number from 0 to 65535 is wanted/],
    ['--port x', /a whole number from 0 to 65535 is wanted/],
    ['--tokens 0', /a whole number from 1 to 16 is wanted/],
    ['--region Nowhere', /a region is called like on-prem-1/],
    ['--account 12', /account: must have 12 digits/],
    ['--config /nowhere.yaml', /nowhere\.yaml/],
    ['--no-such-option', /unknown option '--no-such-option'/],
  ]
  it('are refused with a clear message and nothing on stdout', async () => {
    const attempts = refusals.map(async ([options, message]) => {
      const sandbox = start(SCRIPT, options.split(' '))
      expect({ options, ...(await sandbox.ended) }).toEqual({ options, code: 1, signal: null })
      expect(sandbox.stderr()).toMatch(message)
      expect(sandbox.stderr()).not.toMatch(/^ +at /m)
      expect(sandbox.stdout()).toBe('')
    })
    await Promise.all(attempts)
    expect(readdirSync(folder.path).filter(name => name.startsWith('strongroom-'))).toEqual([])
  })
})
