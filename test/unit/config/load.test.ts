/** Reading a configuration: what is refused, in which words, and where relative folders start. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { ConfigurationError, checkConfiguration, loadConfiguration } from '../../../src/config/load.ts'

const URI = 'pkcs11:token=a?module-path=/usr/lib/m.so&pin-source=file:/run/pin'
const PATH = '/etc/strongroom/strongroom.yaml'
const region = { name: 'on-prem-1', tokens: [{ uri: URI }] }
const minimal = { stateDir: '/var/lib/strongroom', regions: [region] }

/** The lines of the error that a document is refused with. */
function faultsOf(document: unknown): string[] {
  try {
    checkConfiguration(document, PATH)
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigurationError)
    return (error as Error).message.split('\n')
  }
  throw new Error('the document was accepted')
}

const NO_PINS = { wrapScheme: 'any', kdf: 'any', gcmIv: 'any' }
const NO_TLS = { certificateFile: '', keyFile: '' }

describe('checkConfiguration', () => {
  it('completes a document that has the required fields only', () => {
    expect(checkConfiguration(minimal, PATH)).toEqual({
      stateDir: '/var/lib/strongroom',
      account: '000000000001',
      listen: { host: '127.0.0.1', port: 7600, tls: NO_TLS, allowPlainHttpBeyondLoopback: false, processes: 1 },
      admin: { host: '127.0.0.1', port: 7601 },
      regions: [
        { name: 'on-prem-1', tokens: [{ uri: URI, environment: {}, libraryParameters: '', profile: NO_PINS }] },
      ],
      log: { level: 'info' },
      store: { cachedRecords: 100_000, anchorIntervalMs: 300_000 },
      hsm: {
        cachedHbks: 16_000,
        hbkLifetimeMs: 600_000,
        maxCommands: 2_000,
        maxWaitMs: 800,
        importInHost: true,
        healthIntervalMs: 2_000,
        deadlineFloorMs: 0,
        hostsPerToken: 1,
        threadsPerHost: 1,
        sessionsPerToken: 0,
        recycleAfterCommands: 10_000_000,
        recycleAfterMb: 768,
        allocator: 'jemalloc',
      },
      audit: {
        maxFileMb: 64,
        syncToDisk: true,
        unprovenRefusals: { perSourcePerSecond: 5, perSecond: 20 },
        checkpointIntervalMs: 1_000,
        storeDays: 90,
        storeMaxMb: 4_096,
        forward: {
          syslog: { host: '', port: 6_514, caFile: '', certificateFile: '', keyFile: '' },
          http: { url: '', caFile: '', tokenFile: '' },
        },
      },
      quotas: {
        keysPerAccount: 100_000,
        aliasesPerKey: 50,
        grantsPerKey: 50_000,
        tagsPerKey: 50,
        keyPolicyBytes: 32_768,
        requests: { preset: 'none', account: {}, principal: {} },
      },
      telemetry: { accountLabels: 20, otlp: { endpoint: '', sampledOneIn: 100 } },
      domain: { retentionDays: 35, multiRegion: 'auto' },
      jobs: { deletionIntervalMs: 60_000, rotationIntervalMs: 60_000, expiryIntervalMs: 10_000 },
    })
  })

  it('listens beyond loopback with a certificate, or when plain HTTP is asked for in so many words', () => {
    const host = '0.0.0.0'
    const tls = { certificateFile: '/etc/tls/cert.pem', keyFile: '/etc/tls/key.pem' }
    expect(checkConfiguration({ ...minimal, listen: { host, tls } }, PATH).listen.tls).toEqual(tls)
    const plain = { host, allowPlainHttpBeyondLoopback: true }
    expect(checkConfiguration({ ...minimal, listen: plain }, PATH).listen).toMatchObject(plain)
    const half = { ...minimal, listen: { tls: { keyFile: '/etc/tls/key.pem' } } }
    expect(() => checkConfiguration(half, PATH)).toThrow('certificateFile and keyFile belong together')
  })

  it('keeps what a section gives and completes the rest of it', () => {
    expect(checkConfiguration({ ...minimal, listen: { port: 0 } }, PATH).listen).toEqual({
      ...{ host: '127.0.0.1', port: 0, tls: NO_TLS, allowPlainHttpBeyondLoopback: false, processes: 1 },
    })
  })

  it('tells every fault at once, each with its path', () => {
    const [head, ...faults] = faultsOf({
      account: '12',
      listen: { port: 65_536 },
      regions: [region, { name: 'On Prem', tokens: [{ uri: URI }, { uri: 'pkcs11:' }] }],
      log: { level: 'trace' },
      hsm: { maxWaitMs: 99, cachedHbks: 1.5 },
    })
    expect(head).toBe(`${PATH} has 8 fault(s):`)
    expect(faults.map(line => /^ {2}(\S+): ./.exec(line)?.[1])).toEqual([
      'stateDir',
      'account',
      'listen.port',
      'regions.1.name',
      'regions.1.tokens.1.uri',
      'log.level',
      'hsm.cachedHbks',
      'hsm.maxWaitMs',
    ])
  })

  it.each([
    ['at the top', { ...minimal, stateDirectory: '/x' }, '(top)', 'stateDirectory'],
    ['in a section', { ...minimal, listen: { prot: 1 } }, 'listen', 'prot'],
    ['in a region', { ...minimal, regions: [{ ...region, domain: 'x' }] }, 'regions.0', 'domain'],
    [
      'in a token',
      { ...minimal, regions: [{ ...region, tokens: [{ uri: URI, pin: '1' }] }] },
      'regions.0.tokens.0',
      'pin',
    ],
  ])('refuses an unknown field %s', (_, document, path, name) => {
    const [, ...faults] = faultsOf(document)
    expect(faults).toEqual([`  ${path}: Unrecognized key: "${name}"`])
  })

  it.each(['stateDir', 'regions'])('needs %s', name => {
    const { [name as 'stateDir']: _, ...rest } = minimal
    expect(faultsOf(rest)).toEqual([`${PATH} has 1 fault(s):`, expect.stringMatching(`^  ${name}: `)])
  })

  it.each([[null], ['text'], [[]], [undefined]])('refuses %j as a whole', document => {
    expect(faultsOf(document)).toEqual([`${PATH} has 1 fault(s):`, expect.stringMatching(/^ {2}\(top\): /)])
  })

  describe.each([
    ['listen', 'must be loopback: plain HTTP is not served elsewhere; give listen.tls a certificate'],
    ['admin', 'must be loopback'],
  ] as const)('%s.host', (section, message) => {
    it.each(['0.0.0.0', '::', '10.0.0.1', '127.0.0.2', 'kms.example', 'localhost.', ' 127.0.0.1'])(
      'refuses %j',
      host => {
        expect(faultsOf({ ...minimal, [section]: { host } }).slice(1)).toEqual([`  ${section}.host: ${message}`])
      },
    )

    it.each(['127.0.0.1', '::1', 'localhost'])('takes %s', host => {
      expect(checkConfiguration({ ...minimal, [section]: { host } }, PATH)[section].host).toBe(host)
    })
  })

  it('refuses a PIN in a URI, and does not repeat it', () => {
    const uri = 'pkcs11:token=a?module-path=/usr/lib/m.so&pin-value=s3cret'
    const lines = faultsOf({ ...minimal, regions: [{ ...region, tokens: [{ uri }] }] })
    expect(lines.slice(1)).toEqual(['  regions.0.tokens.0.uri: must not hold a PIN: use "pin-source"'])
    expect(lines.join()).not.toContain('s3cret')
  })

  it('refuses a region that is there twice', () => {
    const lines = faultsOf({ ...minimal, regions: [region, region] })
    expect(lines.slice(1)).toEqual(['  regions: region on-prem-1 is there twice'])
  })

  it('refuses an account that YAML read as a number', () => {
    expect(faultsOf({ ...minimal, account: 1 }).slice(1)).toEqual([expect.stringMatching(/^ {2}account: /)])
  })

  it.each([
    ['state', '/etc/strongroom/state'],
    ['../state', '/etc/state'],
    ['.', '/etc/strongroom'],
    ['/var/lib/../state', '/var/state'],
  ])('takes stateDir %s from the folder of the file', (stateDir, absolute) => {
    expect(checkConfiguration({ ...minimal, stateDir }, PATH).stateDir).toBe(absolute)
  })
})

describe('loadConfiguration', () => {
  let folder: string
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'strongroom-config-'))
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  const write = (text: string): string => {
    const path = join(folder, 'strongroom.yaml')
    writeFileSync(path, text)
    return path
  }
  const refusal = (text: string): string => {
    try {
      loadConfiguration(write(text))
    } catch (error) {
      expect(error).toBeInstanceOf(ConfigurationError)
      return (error as Error).message
    }
    throw new Error('the file was accepted')
  }

  it('reads YAML, and stateDir from the folder of the file', () => {
    const path = write(`stateDir: state\nregions: [{ name: on-prem-1, tokens: [{ uri: '${URI}' }] }]\n`)
    expect(loadConfiguration(path)).toEqual(checkConfiguration({ ...minimal, stateDir: join(folder, 'state') }, path))
  })

  it('says that a file is not there', () => {
    const path = join(folder, 'none.yaml')
    expect(() => loadConfiguration(path)).toThrow(
      new ConfigurationError(
        `cannot read the configuration ${path}: ENOENT (--config or STRONGROOM_CONFIG names the file)`,
      ),
    )
  })

  it.each([
    ['an open bracket', 'regions: [', /line 1/],
    ['a field twice', 'stateDir: /a\nstateDir: /b\n', /Map keys must be unique at line 2/],
    ['a tab as indentation', 'listen:\n\tport: 1\n', /line 2/],
    ['an alias of nothing', 'stateDir: *nowhere\n', /nowhere/],
    ['two documents', 'stateDir: /a\n---\nstateDir: /b\n', /multiple documents/],
  ])('says where YAML is wrong: %s', (_, text, where) => {
    const message = refusal(text)
    expect(message).toMatch(/strongroom\.yaml is not YAML: /)
    expect(message).toMatch(where)
  })

  it('refuses an empty file', () => {
    expect(refusal('')).toMatch(/has 1 fault\(s\):\n {2}\(top\): /)
  })

  it('refuses a small file that aliases would blow up', () => {
    const lines = ['a: &a [x, x, x, x, x, x, x, x, x, x]']
    for (const [name, of] of ['ba', 'cb', 'dc', 'ed'])
      lines.push(`${name}: &${name} [${Array(10).fill(`*${of}`).join()}]`)
    expect(refusal(lines.join('\n'))).toMatch(/is not YAML: Excessive alias count/)
  })
})
