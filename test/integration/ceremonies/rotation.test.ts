/** Rotating a domain on real tokens (security.md 4.1 and 6, tests 13 to 15): cut off, disputed, and raced by stale daemons. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import type { RegionConfiguration } from '../../../src/cli/ceremonies/parts.ts'
import { type RotationParts, rotateDomain as rotate } from '../../../src/cli/ceremonies/rotate-domain.ts'
import { decodeEkt, dkVersionOf } from '../../../src/formats/ekt.ts'
import { Ceremony } from '../../../src/hsm/pool/ceremony.ts'
import { currentMaterial } from '../../../src/model/key.ts'
import { VersionSwept } from '../../../src/store/faults.ts'
import {
  brokenKeys,
  type Ceremonies,
  type MadeKey,
  makeBackedKey,
  makeCeremonies,
  makeKeys,
  makeStoredDaemonKey,
} from '../../support/rotation.ts'
import { asPinHolder, REGION } from '../../support/tokens.ts'

/** No daemon is there that the barrier would have to wait for. */
const rotateDomain = (parts: RotationParts, region: RegionConfiguration) => rotate({ ...parts, settleMs: 0 }, region)

const objectsOf = (made: readonly string[], left: readonly string[] = []) =>
  [
    'private strongroom/audit',
    'public strongroom/audit',
    ...made.flatMap(n => [`dk.${n}.gen`, `dk.${n}.use`, `mac.${n}.sign`, `mac.${n}.verify`]).map(secret),
    ...left.flatMap(n => [`dk.${n}.use`, `mac.${n}.verify`]).map(secret),
  ].toSorted()
const secret = (name: string) => `secret strongroom/${name}`
const listObjects = ({ locations }: Ceremonies, label: string) => asPinHolder(locations[label]!, 'listObjects', {})

describe('a rotation', () => {
  let ceremonies: Ceremonies
  let keys: MadeKey[]

  beforeAll(async () => {
    ceremonies = await makeCeremonies(['a', 'b'])
    await using host = await ceremonies.startHost('a')
    keys = await makeKeys(ceremonies, host, 20)
    await makeStoredDaemonKey(ceremonies, host)
  })

  afterAll(() => ceremonies?.close())

  it('moves every record to the next version and changes nothing else of it', async () => {
    const { store, parts, region } = ceremonies
    const before = await store.reader.findDaemonKey('identity')
    const progress: number[] = []
    const onProgress = ({ done, total }: { done: number; total: number }) => void progress.push(done / total)
    const domain = await rotateDomain({ ...parts({ command: 'domain rotate' }), onProgress }, region())
    expect(domain).toMatchObject({ rotation: undefined, sealed: true })
    expect([await store.reader.countEkts(REGION, 1), await store.reader.countEkts(REGION, 2)]).toEqual([0, 21])
    expect([progress[0], progress.at(-1)]).toEqual([0, 1])
    const unmoved = ({ record }: { record: Buffer }) => {
      const { dkVersion: _dk, macVersion: _mac, body: _body, ...fields } = decodeEkt(record).fields
      return fields
    }
    for (const { key } of keys) {
      const stored = await store.reader.findKey(key, key.id)
      const [after, before] = [currentMaterial(stored!), currentMaterial(key)]
      expect(after).toMatchObject({ id: before.id, state: 'CURRENT' })
      expect(unmoved(after.ekt)).toEqual(unmoved(before.ekt))
      expect(decodeEkt(after.ekt.record).fields).toMatchObject({ dkVersion: 2, macVersion: 2 })
    }
    const after = await store.reader.findDaemonKey('identity')
    expect(unmoved(after!.ekt)).toEqual(unmoved(before!.ekt))
    expect(dkVersionOf(after!.ekt.record)).toBe(2)
  })

  it('leaves keys that open what was made before, on every token', async () => {
    for (const label of ['a', 'b']) {
      await using host = await ceremonies.startHost(label)
      expect(await brokenKeys(ceremonies, host, keys)).toEqual([])
    }
  })

  it('leaves of the former version only what opens with it, and no transfer key or twin', async () => {
    for (const label of ['a', 'b']) expect(await listObjects(ceremonies, label)).toEqual(objectsOf(['2'], ['1']))
  })

  it('is recorded, step by step, with who ran it', async () => {
    const records = await ceremonies.store.reader.listCeremonies(REGION)
    const rotation = records.filter(({ command }) => command === 'domain rotate')
    expect(rotation.map(({ what }) => what)).toEqual([
      'began to rotate to version 2',
      'version 2 is in every token; new records are made under it',
      'nothing can be made under version 1 any more',
      'rotated to version 2: no record is under version 1',
    ])
    for (const { operator, outcome } of rotation) expect([operator.uid, outcome]).toEqual([process.getuid!(), 'done'])
  })

  it('can be done again', async () => {
    await rotateDomain(ceremonies.parts(), ceremonies.region())
    const { versions } = await ceremonies.domain()
    expect(versions.map(({ kind, version }) => `${kind}.${version}`)).toEqual([
      ...['dk.1', 'dk.2', 'dk.3', 'mac.1', 'mac.2', 'mac.3'],
    ])
    await using host = await ceremonies.startHost('b')
    expect(await brokenKeys(ceremonies, host, keys)).toEqual([])
    expect(await listObjects(ceremonies, 'b')).toEqual(objectsOf(['3'], ['1', '2']))
  })
})

describe('a rotation that is killed', () => {
  let ceremonies: Ceremonies
  let keys: MadeKey[]
  let version = 1

  beforeAll(async () => {
    ceremonies = await makeCeremonies(['a', 'b'])
    await using host = await ceremonies.startHost('a')
    keys = await makeKeys(ceremonies, host, 6)
  })

  afterAll(() => ceremonies?.close())

  it.each([
    'claimed',
    'made',
    'moved to b',
    'committed',
    'barrier in a',
    'barrier in b',
    'barred',
    'twin made',
    'swept 6',
    'finished',
  ])('at "%s" has lost nothing, and goes on where it stopped', async step => {
    const { parts, region, domain } = ceremonies
    expect((await ceremonies.rotateKilledAt(step)).at(-1)).toBe(step)
    {
      // Whatever the row says now, hosts that are told of it open every key.
      await using host = await ceremonies.startHost('b')
      expect(await brokenKeys(ceremonies, host, keys)).toEqual([])
    }
    if (step !== 'finished') await rotateDomain(parts(), region())
    version += 1
    const { rotation, versions } = await domain()
    expect(rotation).toBeUndefined()
    expect(versions.filter(({ state }) => state === 'making')).toEqual([])
    await using host = await ceremonies.startHost('a')
    expect(await brokenKeys(ceremonies, host, keys)).toEqual([])
    const left = Array.from({ length: version - 1 }, (_, at) => String(at + 1))
    for (const label of ['a', 'b'])
      expect(await listObjects(ceremonies, label)).toEqual(objectsOf([`${version}`], left))
  })
})

describe('nothing is made under the former version', () => {
  let ceremonies: Ceremonies

  beforeAll(async () => {
    ceremonies = await makeCeremonies(['a', 'b'])
  })

  afterAll(() => ceremonies?.close())

  it('by a daemon that still has the former view, once the barrier stands', async () => {
    const stale = await ceremonies.domain()
    await using host = await ceremonies.startHost('a', stale)
    const late = await makeBackedKey(host)
    const onTime = await makeBackedKey(host)
    const afterTheBarrier: unknown[] = []
    const onStep = async (step: string) => {
      if (step === 'barred') {
        afterTheBarrier.push(
          await makeBackedKey(host).then(
            () => 'made',
            () => 'refused',
          ),
        )
        // What was made before the barrier may be inserted while the sweep is still to come.
        await ceremonies.store.transaction(tx => tx.insertKey(onTime))
      }
    }
    await rotateDomain({ ...ceremonies.parts(), onStep }, ceremonies.region())
    expect(afterTheBarrier).toEqual(['refused'])
    // An EKT of a daemon that was stopped between the token and the store comes too late.
    await expect(ceremonies.store.transaction(tx => tx.insertKey(late))).rejects.toThrow(VersionSwept)
    expect(await ceremonies.store.reader.findKey(late, late.id)).toBeUndefined()
    expect(await ceremonies.store.reader.countEkts(REGION, 1)).toBe(0)
    expect(await ceremonies.store.reader.countEkts(REGION, 2)).toBe(1)
  })
})

describe('of two rotations at once', () => {
  it('one wins, and the other is told and has changed nothing', async () => {
    const ceremonies = await makeCeremonies(['a', 'b'])
    try {
      const { parts, region } = ceremonies
      await using host = await ceremonies.startHost('a')
      const keys = await makeKeys(ceremonies, host, 5)
      // Both have read the row before either has claimed it.
      let arrived = 0
      let open: () => void = () => {}
      const bothThere = new Promise<void>(resolve => {
        open = resolve
      })
      const officerPin = async () => {
        arrived += 1
        if (arrived === 2) open()
        await bothThere
        return { file: ceremonies.officerPinFile }
      }
      const outcomes = await Promise.allSettled([
        rotateDomain(parts({ officerPin }), region()),
        rotateDomain(parts({ officerPin }), region()),
      ])
      expect(outcomes.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])
      const lost = outcomes.find(outcome => outcome.status === 'rejected')
      // SoftHSM may refuse the later of two officers at its door already.
      expect((lost as PromiseRejectedResult).reason.message).toMatch(
        /another ceremony has changed the domain meanwhile; look with "domain show"|C_Login: CKR_GENERAL_ERROR/,
      )
      expect(await ceremonies.domain()).toMatchObject({ rotation: undefined })
      for (const label of ['a', 'b']) expect(await listObjects(ceremonies, label)).toEqual(objectsOf(['2'], ['1']))
      await using later = await ceremonies.startHost('b')
      expect(await brokenKeys(ceremonies, later, keys)).toEqual([])
    } finally {
      await ceremonies.close()
    }
  })
})

describe('a rotation refuses', () => {
  let ceremonies: Ceremonies

  beforeAll(async () => {
    ceremonies = await makeCeremonies(['a', 'b'])
  })

  afterAll(() => ceremonies?.close())

  it('to begin while an enrolled token is absent, and says what to do', async () => {
    const { parts, region, domain } = ceremonies
    const [, absent] = (await domain()).tokens
    await expect(rotateDomain(parts(), region(['a']))).rejects.toThrow(
      new RegExp(
        `"b" \\(${absent!.serial}\\) cannot be reached.*domain retire --region ${REGION} --token ${absent!.serial}`,
      ),
    )
    expect(await domain()).toMatchObject({ rotation: undefined })
  })

  it('to begin with a wrong SO PIN, before anything has changed', async () => {
    const before = await ceremonies.domain()
    const officerPin = async () => ({ typed: 'a wrong SO PIN' })
    await expect(rotateDomain(ceremonies.parts({ officerPin }), ceremonies.region())).rejects.toThrow(
      'refused the SO PIN',
    )
    expect(await ceremonies.domain()).toEqual(before)
  })

  it('to move a key when the fingerprints are not confirmed', async () => {
    const { parts, region, domain } = ceremonies
    const confirmFingerprint = async () => false
    await expect(rotateDomain(parts({ confirmFingerprint }), region())).rejects.toThrow('not confirmed')
    expect(await domain()).toMatchObject({ rotation: { step: 'making', to: 2 } })
    expect(await listObjects(ceremonies, 'b')).toEqual(objectsOf(['1']))
    await rotateDomain(parts(), region())
  })

  it('to end over a record that the token refuses, which it names, and sweeps the others', async () => {
    const { parts, region, store, domain } = ceremonies
    await using host = await ceremonies.startHost('a')
    const keys = await makeKeys(ceremonies, host, 3)
    const [row] = await store.reader.listEkts(REGION, 2, undefined, 1)
    const target = keys.find(({ key }) => row!.primaryKey.includes(key.id))!
    const forged = Buffer.from(currentMaterial(target.key).ekt.record)
    forged[forged.length - 1]! ^= 1
    await store.transaction(tx => tx.replaceEkt(row!, forged))
    await expect(rotateDomain(parts(), region())).rejects.toThrow(
      `1 records cannot be re-wrapped; every other one is, and the rotation stays open:\n  ${row!.name}: the MAC of the EKT record does not verify`,
    )
    expect(await domain()).toMatchObject({ rotation: { step: 'sweeping', to: 3 } })
    expect([await store.reader.countEkts(REGION, 2), await store.reader.countEkts(REGION, 3)]).toEqual([1, 2])
    // Put right again, the rotation ends.
    const [left] = await store.reader.listEkts(REGION, 2, undefined, 1)
    await store.transaction(tx => tx.replaceEkt(left!, row!.record))
    expect(await rotateDomain(parts(), region())).toMatchObject({ rotation: undefined })
    await using later = await ceremonies.startHost('a')
    expect(await brokenKeys(ceremonies, later, keys)).toEqual([])
  })
})

describe('a transfer key', () => {
  it('that was swapped on its way is refused, and no key leaves the token', async () => {
    const ceremonies = await makeCeremonies(['a', 'b'])
    const processes = [new Ceremony(), new Ceremony(), new Ceremony()] as const
    try {
      const [source, target, attacker] = processes
      await source.call('open', { location: ceremonies.locations.a! })
      await target.call('open', { location: ceremonies.locations.b! })
      await attacker.call('open', { location: ceremonies.locations.b! })
      const wanted = await target.call('beginTransfer', {})
      const swapped = await attacker.call('beginTransfer', {})
      const { id, schemes, versions } = await ceremonies.domain()
      const forks = (kind: 'dk' | 'mac') =>
        versions.filter(each => each.kind === kind).map(({ version, forkId }) => ({ version, forkId }))
      const domain = { domainId: id, schemes, audited: true, domainKeys: forks('dk'), macKeys: forks('mac') }
      const officerPin = { file: ceremonies.officerPinFile }
      // The attacker's key under the fingerprint that people have compared.
      const transferKey = { ...swapped, fingerprint: wanted.fingerprint }
      expect(await source.call('fingerprintTransferKey', transferKey)).toEqual({ fingerprint: swapped.fingerprint })
      await expect(source.call('exportDomain', { domain, transferKey, officerPin })).rejects.toThrow(
        'the transfer key is not its fingerprint',
      )
      const fork = { ...domain, domainKeys: [{ version: 1, forkId: 'f'.repeat(32) }] }
      await expect(source.call('exportDomain', { domain: fork, transferKey: wanted, officerPin })).rejects.toThrow(
        'does not hold dk.1.use',
      )
      expect(await listObjects(ceremonies, 'a')).toEqual(objectsOf(['1']))
    } finally {
      for (const process of processes) await process[Symbol.asyncDispose]()
      await ceremonies.close()
    }
  })
})
