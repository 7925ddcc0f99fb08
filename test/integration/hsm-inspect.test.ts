/** `strongroom hsm inspect` on tokens that differ: before `init`, without a daemon, and where nothing can be served. */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { breachesOf, Feature } from '../../src/cli/ceremonies/token-features.ts'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'
import type { TokenInspection } from '../../src/hsm/contract/token-inspection.ts'
import { type Instance, makeInstance } from '../support/instance.ts'
import { makeNewerNssToken, makeNssToken } from '../support/nss.ts'
import { asPinHolder } from '../support/tokens.ts'
import { likeYubiHsm } from '../support/yubihsm-like.ts'

type Report = TokenInspection & { features: Feature[]; breaches: ReturnType<typeof breachesOf> }

let instance: Instance

beforeAll(async () => {
  instance = await makeInstance(['soft', 'bare'])
})

afterAll(() => instance?.remove())

async function inspect(location: TokenLocation, ...args: readonly string[]): Promise<Report> {
  instance.configure([location])
  const { code, stdout, stderr } = await instance.run(['hsm', 'inspect', '--output', 'json', ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return (JSON.parse(stdout) as Report[])[0]!
}

const availableOf = ({ features }: Report) =>
  Object.fromEntries(features.map(({ feature, available }) => [feature, available]))
const testOf = ({ tests }: Report, name: string) => tests.find(test => test.name === name)

/** SoftHSM through a library that offers nothing but these. */
function cutDown(location: TokenLocation, mechanisms: readonly string[]): TokenLocation {
  const path = location.environment.SOFTHSM2_CONF!
  const limited = `${path}.${mechanisms.length}`
  writeFileSync(limited, `${readFileSync(path, 'utf8')}slots.mechanisms = ${mechanisms.join(',')}\n`)
  return { ...location, environment: { SOFTHSM2_CONF: limited } }
}

describe('hsm inspect', () => {
  it('says of SoftHSM what it can do, and leaves nothing in it', async () => {
    const location = instance.locations.soft!
    const report = await inspect(location)
    expect(report).toMatchObject({ token: { label: 'soft' }, vendor: 'SoftHSM 2', problem: '', breaches: [] })
    expect(availableOf(report)).toMatchObject({
      'symmetric keys': 'yes',
      'HMAC keys': 'yes',
      'RSA keys': 'yes',
      'ECC keys (P-256)': 'yes',
      'Ed25519 keys': 'partly',
      'RSA-OAEP decryption': 'partly',
      'regions of several tokens': 'yes',
      'sealed domain': 'yes',
      'Ed25519 with a prehash': 'no',
      'ML-KEM keys': 'no',
      'ML-DSA keys': 'no',
    })
    expect(report.mechanisms).toContainEqual(expect.objectContaining({ number: 0x210a, name: 'CKM_AES_KEY_WRAP_PAD' }))
    expect(await asPinHolder(location, 'listObjects', {})).toEqual([])
  })

  it('says of a newer NSS which ML-KEM keys it takes back', async () => {
    const folder = join(instance.folder, 'newer')
    mkdirSync(folder)
    const { features, notes: _, ...report } = await inspect(makeNewerNssToken(folder, 'newer'))
    expect(features).toContainEqual({
      ...{ feature: 'ML-KEM keys', available: 'partly', how: 'wrapped as EKTs: ML_KEM_768, ML_KEM_1024' },
    })
    expect(report.profile).toMatchObject({ privateKeys: { ML_KEM_512: 'none', ML_KEM_768: 'ekt' } })
  })

  it('warns of NSS what a PIN holder could do, and is not deceived by its number for another key wrap', async () => {
    const folder = join(instance.folder, 'nss')
    mkdirSync(folder)
    const report = await inspect(makeNssToken(folder, 'nss'))
    expect(availableOf(report)).toMatchObject({ 'symmetric keys': 'yes', 'sealed domain': 'no', 'Ed25519 keys': 'no' })
    expect(report.breaches.map(line => line.split(' ')[0])).toEqual([
      'CKA_UNWRAP_TEMPLATE',
      'CKA_WRAP_WITH_TRUSTED',
      'CKA_MODIFIABLE=false',
      'CKA_EXTRACTABLE=false',
    ])
    expect(report.breaches[0]).toMatch(/C_UnwrapKey of an EKT with CKA_SENSITIVE=false.* reads the HBK/)
    expect(testOf(report, 'key wrap RFC5649 as 0x210a')).toEqual({
      name: 'key wrap RFC5649 as 0x210a',
      outcome: 'failed',
      detail: 'is not RFC5649: 48 bytes for a key of 32, not 40',
    })
    expect(report.profile?.wrapSchemes).toEqual(['RFC5649', 'RFC3394'])
    expect(report.profile?.kdfs).toEqual(['SP800-108-HMAC-SHA256', 'AES-CBC-DATA'])
  })

  it('says of a token like a YubiHSM 2 that keys reside in it', async () => {
    const report = await inspect(likeYubiHsm(instance.locations.soft!))
    expect(availableOf(report)).toMatchObject({ 'symmetric keys': 'partly', 'regions of several tokens': 'no' })
    expect(report.features[0]!.how).toMatch(/HBKs reside in this token.*DEKs leave the token/)
    expect(report.profile).toMatchObject({ wrapSchemes: ['resident'], gcm: 'host' })
  })

  it('says of a token that Strongroom cannot use what it lacks', async () => {
    const report = await inspect(cutDown(instance.locations.bare!, ['CKM_RSA_PKCS', 'CKM_SHA256']))
    expect(availableOf(report)).toMatchObject({
      'symmetric keys': 'no',
      'HMAC keys': 'no',
      'import of key material': 'no',
    })
    expect(report.features[0]!.how).toMatch(/^missing: AES key wrap .*SP 800-108.*HMAC-SHA-256/)
    const { code, stderr } = await instance.init()
    expect(code).toBe(1)
    expect(stderr).toContain('token "bare" (SoftHSM 2) offers no key wrap; no key derivation: that serves no key')
  })

  it('goes as far as it can without a PIN', async () => {
    const location = instance.locations.soft!
    const wrongPin = join(instance.folder, 'wrong-pin')
    writeFileSync(wrongPin, 'wrong\n', { mode: 0o600 })
    const report = await inspect({ ...location, uri: location.uri.replace(/file:.*/, `file:${wrongPin}`) })
    expect(report).toMatchObject({ profile: null, tests: [], problem: expect.stringContaining('refused the PIN') })
    expect(report.mechanisms.length).toBeGreaterThan(50)
    expect(report.features).toEqual([
      { feature: 'everything', available: 'no', how: expect.stringContaining('refused the PIN') },
    ])
  })

  it('takes a token that no configuration names, and prints tables for people', async () => {
    const { uri, environment } = instance.locations.soft!
    const given = ['--uri', uri, '--environment', `SOFTHSM2_CONF=${environment.SOFTHSM2_CONF}`]
    const { code, stdout } = await instance.run(['hsm', 'inspect', ...given])
    expect(code).toBe(0)
    expect(stdout).toMatch(/token "soft"\n-+\nserial +[0-9a-f]{16}\n/)
    expect(stdout).toMatch(/\nFEATURE +AVAILABLE +HOW\nsymmetric keys +yes /)
    expect(stdout).not.toContain('WARNING')
  })

  it('names a token that is not there, and one that the configuration does not have', async () => {
    const location = instance.locations.soft!
    instance.configure([{ ...location, uri: location.uri.replace('token=soft', 'token=gone') }])
    const gone = await instance.run(['hsm', 'inspect'])
    expect(gone).toMatchObject({ code: 1, stderr: expect.stringContaining('no token is named "gone"') })
    const unknown = await instance.run(['hsm', 'inspect', '--token', 'other'])
    expect(unknown).toMatchObject({ code: 1, stderr: 'strongroom: the configuration names no such token\n' })
  })
})
