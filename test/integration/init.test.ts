/**
 * `strongroom init` on real tokens: it makes what is missing and changes nothing else, takes up what was interrupted, stops
 * before it could lock a token, and says what is wrong.
 */
import { chmodSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { buildFaultyModule, makeFaulty } from '../../scripts/chaos/faulty-module.ts'
import { parsePkcs11Uri } from '../../src/base/pkcs11-uri.ts'
import { ensureDomain } from '../../src/cli/ceremonies/domain.ts'
import { FIRST_USER } from '../../src/cli/ceremonies/first-identity.ts'
import { describeDomain } from '../../src/compose-pools.ts'
import { decodeEkt } from '../../src/formats/ekt.ts'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'
import { Ceremony } from '../../src/hsm/pool/ceremony.ts'
import type { Domain } from '../../src/store/domain.ts'
import { type Instance, makeInstance } from '../support/instance.ts'
import { childrenOf, waitUntil } from '../support/processes.ts'
import { asPinHolder, REGION, silentLogger } from '../support/tokens.ts'

const ACCOUNT = '000000000001'
const OBJECTS = [
  'data strongroom/anchor',
  'private strongroom/audit',
  'public strongroom/audit',
  ...['dk.1.gen', 'dk.1.use', 'mac.1.sign', 'mac.1.verify'].map(name => `secret strongroom/${name}`),
]

/** Everything that a second run must not change. */
async function stateOf({ withStore, stateDir, locations }: Instance, labels: readonly string[]) {
  const credentials = readFileSync(join(stateDir, 'credentials'), 'utf8')
  const stored = await withStore(async ({ reader }) => {
    const domain = await reader.findDomain(REGION)
    const [identity, ...others] = await reader.listIdentities(ACCOUNT, 'user')
    const accessKeys = await reader.listAccessKeys(identity!.principalId)
    const daemonKeys = await Promise.all(
      ['identity', 'session', 'session-gate'].map(name => reader.findDaemonKey(name)),
    )
    return { domain, identity, others, accessKeys, daemonKeys }
  })
  const objects: string[][] = []
  for (const label of labels) {
    const listed = await asPinHolder(locations[label]!, 'listObjects', {})
    objects.push(listed.map(object => object.replace(/(?<=anchor)\/[0-9a-f]{32}$/, '')))
  }
  return { credentials, ...stored, objects }
}

const pinFileOf = ({ uri }: TokenLocation) => parsePkcs11Uri(uri).pinFile

describe('strongroom init', () => {
  let instance: Instance
  let officerPin: string
  let first: Awaited<ReturnType<Instance['init']>>
  let made: Awaited<ReturnType<typeof stateOf>>

  beforeAll(async () => {
    instance = await makeInstance(['a', 'b', 'c', 'd'])
    officerPin = readFileSync(instance.officerPinFile, 'utf8')
    instance.configure(['a', 'b', 'c'])
    first = await instance.run(['init'], `yes\n${officerPin}yes\n`)
    made = await stateOf(instance, ['a', 'b', 'c'])
  })

  afterAll(() => instance?.remove())

  it('makes a sealed domain, carries it to the other tokens with the SO PIN asked for once, and makes the first user', () => {
    expect(first).toMatchObject({ code: 0, stderr: '' })
    const { domain, identity, others, accessKeys, objects } = made
    expect(domain).toMatchObject({ state: 'ready', sealed: true, region: REGION })
    const enrolled = ['a', 'b', 'c'].map(label => expect.objectContaining({ label, state: 'enrolled' }))
    expect(domain?.tokens).toEqual(enrolled)
    expect(objects).toEqual([OBJECTS, OBJECTS, OBJECTS])
    expect([identity?.name, others.length, accessKeys.length]).toEqual([FIRST_USER, 0, 1])
  })

  it('says what people compare', () => {
    for (const { checkValue } of made.domain!.versions) expect(first.stdout).toContain(checkValue)
    expect(first.stdout).toContain(`domain ${made.domain!.id} is sealed`)
    for (const label of ['b', 'c'])
      expect(first.stdout).toMatch(new RegExp(`token "${label}" has fingerprint [0-9a-f]{64}\n`))
  })

  it('gives each token an audit key of its own', () => {
    const keys = made.domain!.tokens.map(({ auditPublicKey }) => auditPublicKey.toString('hex'))
    expect(new Set(keys).size).toBe(3)
  })

  it('writes the access key where only the owner reads it, and secrets nowhere else', () => {
    const [accessKey] = made.accessKeys
    expect(made.credentials).toMatch(
      new RegExp(`^\\[default\\]\naws_access_key_id = ${accessKey!.id}\naws_secret_access_key = \\S{40}\n$`),
    )
    const mode = (path: string) => statSync(path).mode & 0o777
    expect(mode(join(instance.stateDir, 'credentials'))).toBe(0o600)
    expect(mode(join(instance.stateDir, 'strongroom.db'))).toBe(0o600)
    expect(mode(instance.stateDir)).toBe(0o700)
    const [, secret] = /secret_access_key = (\S+)/.exec(made.credentials)!
    expect(first.stdout + first.stderr).not.toContain(secret)
    expect(first.stdout + first.stderr).not.toContain(officerPin.trim())
    expect(readFileSync(join(instance.stateDir, 'strongroom.db')).includes(secret!)).toBe(false)
  })

  it('changes nothing when it is run again, and asks for nothing', async () => {
    const again = await instance.run(['init'])
    expect(again).toMatchObject({ code: 0, stderr: '' })
    expect(again.stdout).not.toMatch(/created|enrolled|made/)
    expect(await stateOf(instance, ['a', 'b', 'c'])).toEqual(made)
  })

  it('tries a wrong SO PIN once, and leaves the new token without keys', async () => {
    const modulePath = buildFaultyModule(instance.folder)
    const faulty = makeFaulty(instance.folder, 'a', modulePath, instance.locations.a!)
    instance.configure([faulty.location, 'd'])
    const refused = await instance.run(['init'], 'yes\na wrong SO PIN\n')
    expect(refused).toMatchObject({
      code: 1,
      stderr: 'strongroom: token "a" refused the SO PIN (C_Login: CKR_PIN_INCORRECT); not tried again\n',
    })
    // The user of the host that verifies the domain's row; then the user, the officer, and the user again.
    expect(faulty.logins()).toBe(4)
    expect(await asPinHolder(instance.locations.d!, 'listObjects', {})).toEqual([])
  })

  it('enrols a token that was added later, wherever it stands', async () => {
    instance.configure(['d', 'c', 'b', 'a'])
    expect(await instance.init()).toMatchObject({ code: 0, stderr: '' })
    const { domain, objects, credentials, accessKeys } = await stateOf(instance, ['a', 'b', 'c', 'd'])
    expect(objects).toEqual([OBJECTS, OBJECTS, OBJECTS, OBJECTS])
    const { generation } = domain!
    expect(domain).toEqual({ ...made.domain!, generation, tokens: [...made.domain!.tokens, expect.anything()] })
    expect(domain!.tokens.at(-1)).toMatchObject({ label: 'd', state: 'enrolled' })
    expect({ credentials, accessKeys }).toEqual({ credentials: made.credentials, accessKeys: made.accessKeys })
    const { body } = decodeEkt(made.daemonKeys[0]!.ekt.record).fields
    const wrapped = body.kind === 'wrapped' ? body.bytes : Buffer.alloc(0)
    const args = { domain: describeDomain(domain!), wrapped }
    expect(await asPinHolder(instance.locations.d!, 'unwrapProperly', args)).toBe(true)
  })
})

describe('strongroom init, interrupted', () => {
  let instance: Instance

  beforeAll(async () => {
    instance = await makeInstance(['a', 'b'])
    instance.configure(['a', 'b'])
  })

  afterAll(() => instance?.remove())

  /** Kills `init` when it says something: how far it is after some time depends on the machine. */
  async function initKilledAt(line: RegExp): Promise<void> {
    const args = ['init', '--config', instance.configure(['a', 'b']), '--so-pin-file', instance.officerPinFile]
    const child = instance.start(args)
    const closed = new Promise(resolve => child.once('close', resolve))
    child.stdout!.setEncoding('utf8').on('data', text => line.test(text) && child.kill('SIGKILL'))
    await closed
  }

  it('is taken up again, wherever it was', async () => {
    for (const line of [/created domain/, /has fingerprint/, /made user/, /made access key/]) await initKilledAt(line)
    expect(await instance.init()).toMatchObject({ code: 0, stderr: '' })
    const state = await stateOf(instance, ['a', 'b'])
    expect(state.objects).toEqual([OBJECTS, OBJECTS])
    expect(state.domain).toMatchObject({ state: 'ready', sealed: true })
    expect(state.domain!.tokens.map(token => token.state)).toEqual(['enrolled', 'enrolled'])
    expect(state.accessKeys).toHaveLength(1)
    expect(state.credentials).toContain(state.accessKeys[0]!.id)
  })

  it('takes up a domain that was being created, under its id, with whatever keys are there of it', async () => {
    const { domain } = await stateOf(instance, [])
    const started: Domain = { ...domain!, generation: domain!.generation + 1, state: 'creating', tokens: [] }
    const { a, b } = instance.locations
    await asPinHolder(a!, 'destroyObjects', { labels: ['strongroom/mac.1.sign', 'strongroom/audit'] })
    await asPinHolder(b!, 'destroyObjects', { labels: ['strongroom/dk.1.gen'] })
    // The identity key of the former domain is lost with it; the store is made anew but for the domain row.
    rmSync(join(instance.stateDir, 'strongroom.db'))
    await instance.withStore(store => store.transaction(tx => tx.putDomain(started)))
    expect(await instance.init()).toMatchObject({ code: 0, stderr: '' })
    const state = await stateOf(instance, ['a', 'b'])
    expect(state.domain).toMatchObject({ id: domain!.id, state: 'ready' })
    expect(state.objects).toEqual([OBJECTS, OBJECTS])
    const checkValues = (each: Domain) => each.versions.map(({ checkValue }) => checkValue)
    expect(checkValues(state.domain!)).not.toEqual(checkValues(domain!))
    expect(state.credentials).toContain(state.accessKeys[0]!.id)
  })

  it('takes up a token that was being enrolled', async () => {
    const { domain } = await stateOf(instance, [])
    const tokens = domain!.tokens.map(token =>
      token.label === 'b' ? { ...token, state: 'enrolling' as const, auditPublicKey: Buffer.alloc(0) } : token,
    )
    await instance.withSignedStore(store =>
      store.transaction(tx => tx.putDomain({ ...domain!, generation: domain!.generation + 1, tokens })),
    )
    await asPinHolder(instance.locations.b!, 'destroyObjects', { labels: ['strongroom/dk.1.use', 'strongroom/audit'] })
    expect(await instance.init()).toMatchObject({ code: 0, stderr: '' })
    const state = await stateOf(instance, ['a', 'b'])
    expect(state.objects).toEqual([OBJECTS, OBJECTS])
    expect(state.domain!.versions).toEqual(domain!.versions)
    expect(state.domain!.tokens.map(token => token.state)).toEqual(['enrolled', 'enrolled'])
  })
})

describe('a wrong PIN', () => {
  it('stops strongroom init after one attempt', async () => {
    const instance = await makeInstance(['a'])
    try {
      const { a } = instance.locations
      const module = makeFaulty(instance.folder, 'a', buildFaultyModule(instance.folder), a!)
      instance.configure([module.location])
      const wrong = 'not-the-pin-of-it'
      writeFileSync(pinFileOf(a!), `${wrong}\n`)
      const { code, stdout, stderr } = await instance.init()
      expect(stderr).toBe('strongroom: token "a" refused the PIN (C_Login: CKR_PIN_INCORRECT); not tried again\n')
      expect(code).toBe(1)
      expect(stdout + stderr).not.toContain(wrong)
      expect(module.logins()).toBe(1)
    } finally {
      instance.remove()
    }
  })

  it('locks one token of a daemon out, which is not tried again, and the other serves', async () => {
    const instance = await makeInstance(['a', 'b'])
    try {
      instance.configure(['a', 'b'])
      expect(await instance.init()).toMatchObject({ code: 0 })
      const module = makeFaulty(instance.folder, 'a', buildFaultyModule(instance.folder), instance.locations.a!)
      instance.configure([module.location, 'b'])
      const pin = readFileSync(pinFileOf(instance.locations.a!), 'utf8')
      writeFileSync(pinFileOf(instance.locations.a!), 'not-the-pin-of-it\n')
      const daemon = await instance.serve()
      // Long enough for a host that was started again and again to log in several times.
      await sleep(1_500)
      const readiness = await (await fetch(`${daemon.adminEndpoint}/readyz`)).json()
      const hsms = [
        { hsm: 'a', state: 'locked-out' },
        { hsm: 'b', state: 'healthy' },
      ]
      expect(readiness).toMatchObject({ ready: true, regions: [{ region: REGION, ready: true, hsms }] })
      expect(module.logins()).toBe(1)
      expect(daemon.log()).toContain('refused the PIN (C_Login: CKR_PIN_INCORRECT); not tried again')
      expect(daemon.log()).not.toContain('not-the-pin-of-it')
      writeFileSync(pinFileOf(instance.locations.a!), pin)
      const unlocked = await instance.run(['hsm', 'unlock', '--region', REGION, '--hsm', 'a'])
      expect(unlocked).toMatchObject({ code: 0, stderr: '' })
      await waitUntil(
        async () => (await instance.run(['hsm', 'status'])).stdout.match(/healthy/g)?.length === 2,
        60_000,
      )
      expect(module.logins()).toBe(2)
      process.kill(daemon.pid, 'SIGTERM')
      expect(await daemon.ended).toBe(0)
    } finally {
      instance.remove()
    }
  })
})

describe('the ceremony of a domain refuses', () => {
  let instance: Instance
  let domain: Domain

  beforeAll(async () => {
    instance = await makeInstance(['a', 'b', 'other'])
    domain = await ensure(['a', 'b'])
  })

  afterAll(() => instance?.remove())

  function ensure(tokens: readonly (string | TokenLocation)[]): Promise<Domain> {
    mkdirSync(instance.stateDir, { recursive: true })
    const locations = tokens.map(token => (typeof token === 'string' ? instance.locations[token]! : token))
    const officerPin = async () => ({ file: instance.officerPinFile })
    const parts = { clock: Date.now, logger: silentLogger, say() {}, officerPin }
    return instance.withStore(store => ensureDomain({ store, ...parts }, { name: REGION, tokens: locations }))
  }

  async function withPinFile(change: (path: string) => void, message: string): Promise<void> {
    const path = pinFileOf(instance.locations.b!)
    const pin = readFileSync(path)
    change(path)
    try {
      await expect(ensure(['a', 'b'])).rejects.toMatchObject({ reason: message.replace('FILE', path) })
    } finally {
      rmSync(path, { force: true })
      writeFileSync(path, pin, { mode: 0o600 })
    }
  }

  it.each(['604', '660'])('a PIN file of mode %s', async mode => {
    await withPinFile(
      path => chmodSync(path, Number.parseInt(mode, 8)),
      'PIN file FILE is open to other users: chmod 600 it',
    )
  })

  it('a PIN file that is empty, or not there', async () => {
    await withPinFile(path => writeFileSync(path, '\n'), 'PIN file FILE holds no PIN')
    await withPinFile(path => rmSync(path), 'cannot read the PIN file FILE')
  })

  it('one token configured twice', async () => {
    await expect(ensure(['a', 'a'])).rejects.toThrow(/^token "a" \([0-9a-f]+\) is configured twice$/)
  })

  it('a token, or a module, that is not there', async () => {
    const { uri, environment } = instance.locations.a!
    const nobody = { uri: uri.replace('token=a', 'token=nobody'), environment }
    await expect(ensure([nobody])).rejects.toThrow('no token is named "nobody"')
    const nowhere = { uri: uri.replace(/module-path=[^&]+/, 'module-path=/nowhere.so'), environment }
    await expect(ensure([nowhere])).rejects.toThrow('cannot load /nowhere.so')
  })

  it('tokens of which none holds the domain of the region', async () => {
    await expect(ensure(['other'])).rejects.toThrow(`no configured token of ${REGION} holds its domain ${domain.id}`)
  })

  it('to go on when its process is gone', async () => {
    const ceremony = new Ceremony()
    try {
      await ceremony.call('open', { location: instance.locations.a! })
      const [child] = childrenOf(process.pid).filter(({ command }) => command.includes('ceremony/main.ts'))
      process.kill(child!.pid, 'SIGKILL')
      await expect(ceremony.call('beginTransfer', {})).rejects.toThrow('the ceremony process ended (SIGKILL)')
      await expect(ceremony.call('beginTransfer', {})).rejects.toThrow('the ceremony process ended (SIGKILL)')
    } finally {
      await ceremony[Symbol.asyncDispose]()
    }
  })

  it('a token that holds other keys in place of the domain, and names both check values', async () => {
    const [dk, mac] = domain.versions
    const replace = (label: string, right: string) => {
      const args = { domain: describeDomain(domain), label, values: { SENSITIVE: true, [right]: true } }
      return asPinHolder(instance.locations.b!, 'replaceKey', args)
    }
    const message = (name: string, checkValue: string) =>
      new RegExp(`^token "b" \\([0-9a-f]+\\): ${name} has check value [0-9a-f]{16}, the domain's is ${checkValue}$`)
    await replace('strongroom/mac.1.sign', 'SIGN')
    await expect(ensure(['a', 'b'])).rejects.toThrow(message('mac.1', mac!.checkValue))
    await replace('strongroom/dk.1.gen', 'WRAP')
    await expect(ensure(['a', 'b'])).rejects.toThrow(message('dk.1', dk!.checkValue))
  })

  it('a token that has lost a key of the domain', async () => {
    await asPinHolder(instance.locations.b!, 'destroyObjects', { labels: ['strongroom/dk.1.use'] })
    const message = new RegExp(`^token "b" \\([0-9a-f]+\\) has lost the keys of domain ${domain.id}$`)
    await expect(ensure(['a', 'b'])).rejects.toThrow(message)
  })
})

describe('a configuration', () => {
  it('is refused with all of its faults, each by its path, and no value of a secret', async () => {
    const instance = await makeInstance([])
    try {
      const uri = 'pkcs11:token=x?module-path=/x.so&pin-source=file:/pin'
      instance.configure(
        [
          { uri: `${uri}&pin-value=hunter22`, environment: {} },
          { uri: 'pkcs11:', environment: {} },
        ],
        {
          ...{ account: '12', lisen: {}, log: { level: 'loud' }, hsm: { maxWaitMs: 1 } },
          listen: { host: '0.0.0.0', port: 70_000 },
        },
      )
      const { code, stderr } = await instance.run(['init'])
      expect(code).toBe(1)
      expect(stderr.split('\n').toSorted()).toEqual(
        expect.arrayContaining([
          expect.stringMatching(/^ {2}account: must have 12 digits$/),
          expect.stringMatching(/^ {2}listen.host: must be loopback/),
          expect.stringMatching(/^ {2}listen.port: /),
          expect.stringMatching(/^ {2}log.level: /),
          expect.stringMatching(/^ {2}hsm.maxWaitMs: /),
          expect.stringMatching(/^ {2}regions.0.tokens.0.uri: must not hold a PIN/),
          expect.stringMatching(/^ {2}regions.0.tokens.1.uri: needs "module-path"/),
          expect.stringMatching(/lisen/),
        ]),
      )
      expect(stderr).not.toContain('hunter22')
    } finally {
      instance.remove()
    }
  })
})
