/** The domain that regions share: the ceremonies of any domain, its rotation included (security.md 6, tests 13 to 15). */
import { hash } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { MULTI_REGION_DOMAIN } from '../../../src/base/region.ts'
import { ensureDomain } from '../../../src/cli/ceremonies/domain.ts'
import { enrolToken } from '../../../src/cli/ceremonies/enrol-token.ts'
import { retireToken } from '../../../src/cli/ceremonies/retire-token.ts'
import { rotateDomain as rotate } from '../../../src/cli/ceremonies/rotate-domain.ts'
import { OpenTokens } from '../../../src/cli/ceremonies/tokens.ts'
import { describeBoth } from '../../../src/compose-pools.ts'
import { decodeEkt, encodeEkt } from '../../../src/formats/ekt.ts'
import { arnOf, currentMaterial, type KmsKey } from '../../../src/model/key.ts'
import { newMultiRegionKeyId } from '../../../src/model/key-id.ts'
import type { Domain } from '../../../src/store/domain.ts'
import { VersionSwept } from '../../../src/store/faults.ts'
import type { Host } from '../../support/host.ts'
import {
  brokenKeys,
  type Ceremonies,
  CONTEXT_HASH,
  ciphertextOf,
  type MadeKey,
  makeBackedKey,
  makeCeremonies,
  makeKeys,
} from '../../support/rotation.ts'
import { asPinHolder, REGION, silentLogger } from '../../support/tokens.ts'

const OTHER_REGION = 'on-prem-2'
const KEYS = 3
/** A rotation starts a dozen processes; on a machine that has much else to do it takes its time. */
const ROTATION_MS = 300_000
jest.setTimeout(ROTATION_MS)

let ceremonies: Ceremonies
/** Of the region, and of the shared domain: the latter with a copy in each region. */
let single: MadeKey[]
let shared: MadeKey[]

const configured = (labels = ['a', 'b']) => ({
  ...{ name: MULTI_REGION_DOMAIN, sharedBy: [REGION] },
  tokens: labels.map(label => ceremonies.locations[label]!),
})
const sharedDomain = async () => (await ceremonies.store.reader.findDomain(MULTI_REGION_DOMAIN))!
const startHost = async (label: string, known?: Domain) =>
  ceremonies.startHost(label, undefined, known ?? (await sharedDomain()))
const rotateShared = () => rotate({ ...ceremonies.parts(), settleMs: 0 }, configured())
const rotateRegion = () => rotate({ ...ceremonies.parts(), settleMs: 0 }, ceremonies.region())
const countUnder = (domain: string, version: number) => ceremonies.store.reader.countEkts(domain, version)

const makeShared = (host: Host): Promise<KmsKey> =>
  makeBackedKey(host, 'SYMMETRIC_DEFAULT', { id: newMultiRegionKeyId(), primaryRegion: REGION })
const inOtherRegion = (key: KmsKey): KmsKey => {
  const there = { ...key, region: OTHER_REGION }
  return { ...there, arn: arnOf(there) }
}

beforeAll(async () => {
  ceremonies = await makeCeremonies(['a', 'b'])
  await ensureDomain(ceremonies.parts(), configured())
  await using host = await startHost('a')
  single = await makeKeys(ceremonies, host, KEYS)
  shared = []
  for (let at = 0; at < KEYS; at += 1) {
    const key = await makeShared(host)
    const made = await ciphertextOf(host, key)
    for (const copy of [key, inOtherRegion(key)]) {
      await ceremonies.store.transaction(tx => tx.insertKey(copy))
      shared.push({ key: copy, made })
    }
  }
})

afterAll(() => ceremonies?.close())

describe('the domain that regions share', () => {
  it('is in their tokens beside their own, without an audit key', async () => {
    expect(await sharedDomain()).toMatchObject({ state: 'ready', sealed: true })
    for (const label of ['a', 'b']) {
      const objects = await asPinHolder(ceremonies.locations[label]!, 'listObjects', {})
      const count = (name: string) => objects.filter(object => object.endsWith(` strongroom/${name}`)).length
      expect(['dk.1.gen', 'dk.1.use', 'mac.1.sign', 'mac.1.verify'].map(count)).toEqual([2, 2, 2, 2])
      // The pair of the region's.
      expect(count('audit')).toBe(2)
    }
  })

  it('is named by records of its keys in place of a region, and opens them on every token', async () => {
    const { id } = await sharedDomain()
    for (const { key } of shared) {
      const { fields } = decodeEkt(currentMaterial(key).ekt.record)
      expect(fields).toMatchObject({ region: MULTI_REGION_DOMAIN, multiRegion: true, kid: key.kid })
      expect(fields.domainId.toString('hex')).toBe(id)
    }
    await using host = await startHost('b')
    expect(await brokenKeys(ceremonies, host, [...single, ...shared])).toEqual([])
    expect(await host.send('status', {})).toMatchObject({ outcome: 'result' })
  })

  it('opens nothing where a host was not told of it, nor what was changed to name another domain', async () => {
    const { key, made: blob } = shared[0]!
    const { ekt } = currentMaterial(key)
    await using host = await startHost('a')
    const opened = (record: Buffer, by = host) =>
      by.send('decrypt', { ekt: { record, digest: hash('sha256', record, 'buffer') }, blob, contextHash: CONTEXT_HASH })
    const { fields, mac } = decodeEkt(ekt.record)
    for (const changed of [
      { region: REGION },
      { multiRegion: false },
      { domainId: Buffer.from((await ceremonies.domain()).id, 'hex') },
      { kid: single[0]!.key.kid },
    ])
      expect(await opened(encodeEkt({ ...fields, ...changed }, mac))).toMatchObject({
        outcome: 'fault',
        fault: { kind: 'key' },
      })
    expect(await opened(ekt.record)).toMatchObject({ outcome: 'result' })
    await using untold = await ceremonies.startHost('a')
    expect(await opened(ekt.record, untold)).toMatchObject({ outcome: 'fault', fault: { kind: 'token' } })
  })

  it('is told to hosts of a region once all of its tokens hold it', async () => {
    const regional = await ceremonies.domain()
    const domain = await sharedDomain()
    expect(describeBoth(regional, domain).multiRegionDomain?.id).toBe(domain.id)
    const [first] = domain.tokens
    for (const lacking of [
      undefined,
      { ...domain, state: 'creating' as const },
      { ...domain, tokens: [first!] },
      { ...domain, tokens: domain.tokens.map(token => ({ ...token, state: 'retired' as const })) },
    ])
      expect(describeBoth(regional, lacking).multiRegionDomain).toBeUndefined()
  })

  it('stays in a token that serves a region, and comes first into one that is to', async () => {
    const { parts, domain, locations } = ceremonies
    await expect(retireToken(parts(), configured(), 'b')).rejects.toThrow(
      /"b" \([0-9a-f]+\) serves region on-prem-1: retire it from that region first/,
    )
    await using open = await OpenTokens.all([locations.a!, locations.b!], silentLogger)
    const [a, b] = open.opened
    const newcomer = { ...b!, serial: 'never seen' }
    await expect(enrolToken(parts(), await domain(), a!, newcomer)).rejects.toThrow(
      'run "strongroom domain enrol --multi-region --token never seen" first',
    )
  })
})

describe('a rotation', () => {
  it('of a region leaves the records of the shared domain, and one of that the records of a region', async () => {
    await rotateRegion()
    expect(await countUnder(REGION, 2)).toBe(KEYS)
    expect(await countUnder(MULTI_REGION_DOMAIN, 1)).toBe(2 * KEYS)
    await rotateShared()
    expect([await countUnder(MULTI_REGION_DOMAIN, 1), await countUnder(MULTI_REGION_DOMAIN, 2)]).toEqual([0, 2 * KEYS])
    expect(await countUnder(REGION, 2)).toBe(KEYS)
    await using host = await startHost('b')
    expect(await brokenKeys(ceremonies, host, [...single, ...shared])).toEqual([])
  })

  it.each(['barrier in a', `swept ${2 * KEYS}`])(
    'that is killed at "%s" has lost nothing, and goes on where it stopped',
    async step => {
      expect((await ceremonies.rotateKilledAt(step, configured())).at(-1)).toBe(step)
      {
        await using host = await startHost('b')
        expect(await brokenKeys(ceremonies, host, shared)).toEqual([])
      }
      const { rotation, versions } = await rotateShared()
      expect(rotation).toBeUndefined()
      expect(versions.filter(({ state }) => state === 'making')).toEqual([])
      await using host = await startHost('a')
      expect(await brokenKeys(ceremonies, host, [...single, ...shared])).toEqual([])
    },
  )

  it('ends what a daemon with the former view can make', async () => {
    await using host = await startHost('a')
    const late = await makeShared(host)
    await rotateShared()
    await expect(makeShared(host)).rejects.toThrow('no HBK')
    for (const copy of [late, inOtherRegion(late)])
      await expect(ceremonies.store.transaction(tx => tx.insertKey(copy))).rejects.toThrow(VersionSwept)
    // The region's domain is as it was.
    await makeBackedKey(host)
  })
})
