/** Backups of the key store and the versions of a domain: what a restored one needs, and what it can no longer open. */
import { copyFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { destroyVersion } from '../../../src/cli/ceremonies/destroy-version.ts'
import { retireToken } from '../../../src/cli/ceremonies/retire-token.ts'
import { rotateDomain } from '../../../src/cli/ceremonies/rotate-domain.ts'
import type { KmsKey } from '../../../src/model/key.ts'
import { openStore } from '../../../src/store/open-store.ts'
import { brokenKeys, type Ceremonies, type MadeKey, makeCeremonies, makeKeys } from '../../support/rotation.ts'
import { asPinHolder, REGION } from '../../support/tokens.ts'

const DAY_MS = 86_400_000
const RETENTION_DAYS = 35

let ceremonies: Ceremonies
let keys: MadeKey[]
let deleted: KmsKey
let backup: string

beforeAll(async () => {
  ceremonies = await makeCeremonies(['a', 'b'])
  {
    await using host = await ceremonies.startHost('a')
    const made = await makeKeys(ceremonies, host, 6)
    deleted = made.pop()!.key
    keys = made
  }
  await ceremonies.store.transaction(tx => tx.deleteKey(deleted, Date.now()))
  backup = join(ceremonies.folder, 'backup.db')
  await ceremonies.store.scrub()
  copyFileSync(ceremonies.storePath, backup)
  await rotateDomain({ ...ceremonies.parts(), settleMs: 0 }, ceremonies.region())
})

afterAll(() => ceremonies?.close())

/** The ceremonies on a copy of the backup instead of the store. */
async function restored<T>(name: string, use: (restored: Ceremonies) => Promise<T>): Promise<T> {
  const path = join(ceremonies.folder, `${name}.db`)
  copyFileSync(backup, path)
  const store = await openStore({ path })
  try {
    return await use({ ...ceremonies, store, parts: changes => ({ ...ceremonies.parts(changes), store }) })
  } finally {
    await store.close()
  }
}

async function erasures(): Promise<unknown[]> {
  const events = await ceremonies.store.audit.pendingEvents(1_000)
  return events
    .map(({ event }) => JSON.parse(event) as { eventName: string })
    .filter(({ eventName }) => eventName === 'KeyMaterialErased')
}

const destruction = { version: 1, retentionDays: RETENTION_DAYS, beforeRetention: false }

describe('a backup from before a rotation', () => {
  it('is put to use by a rotation of its own while its version is kept', async () => {
    await restored('kept', async old => {
      const domain = await rotateDomain({ ...old.parts(), settleMs: 0 }, old.region())
      expect(domain).toMatchObject({ rotation: undefined })
      expect([await old.store.reader.countEkts(REGION, 1), await old.store.reader.countEkts(REGION, 2)]).toEqual([0, 5])
      await using host = await ceremonies.startHost('b', domain)
      expect(await brokenKeys(old, host, keys)).toEqual([])
    })
    // The store that was not lost is none the worse for it.
    await using host = await ceremonies.startHost('b')
    expect(await brokenKeys(ceremonies, host, keys)).toEqual([])
  })

  it('keeps its version until the retention has ended', async () => {
    const { parts, region, domain } = ceremonies
    const { sweptAtMs } = (await domain()).versions.find(({ version }) => version === 1)!
    const end = sweptAtMs! + RETENTION_DAYS * DAY_MS
    await expect(destroyVersion(parts({ clock: () => end - 1 }), region(), destruction)).rejects.toThrow(
      `backups may need version 1 until ${new Date(end).toISOString()}`,
    )
    // A token that is absent at the end keeps what it holds, and stays listed with it.
    await destroyVersion(parts({ clock: () => end }), region(['a']), destruction)
    const held = async () => (await domain()).tokens.map(({ label, versions }) => [label, versions])
    expect(await held()).toEqual([
      ['a', [2]],
      ['b', [1, 2]],
    ])
    expect(ceremonies.said.at(-1)).toMatch(/token "b" \([0-9a-f]+\) was not reached and still holds version 1$/)
    expect(await erasures()).toEqual([])
    await destroyVersion(parts({ clock: () => end }), region(), destruction)
    expect(await held()).toEqual([
      ['a', [2]],
      ['b', [2]],
    ])
    // Only then no copy of the deleted key can be opened, and an event says so.
    expect(await erasures()).toEqual([
      expect.objectContaining({
        ...{ eventTime: `${new Date(end).toISOString().slice(0, 19)}Z`, eventType: 'AwsServiceEvent' },
        resources: [expect.objectContaining({ ARN: deleted.arn })],
        serviceEventDetails: expect.objectContaining({ keyId: deleted.arn, domainKeyVersionsDestroyed: 1 }),
      }),
    ])
    await destroyVersion(parts({ clock: () => end }), region(), destruction)
    expect(await erasures()).toHaveLength(1)
    await using host = await ceremonies.startHost('a')
    expect(await brokenKeys(ceremonies, host, keys)).toEqual([])
  })

  it('opens no more once its version is destroyed', async () => {
    await restored('erased', async old => {
      await expect(rotateDomain({ ...old.parts(), settleMs: 0 }, old.region())).rejects.toThrow(
        /does not hold dk\.1 and mac\.1/,
      )
      expect(await old.store.reader.countEkts(REGION, 1)).toBe(5)
    })
    await expect(
      restored('no host', async old => ceremonies.startHost('a', await old.store.reader.findDomain(REGION))),
    ).rejects.toThrow('did not start')
  })
})

describe('a token that cannot be reached', () => {
  it('is retired all the same, stays listed with what it holds, and is emptied when it is back', async () => {
    const { parts, region, domain, locations } = ceremonies
    await retireToken(parts(), region(['a']), 'b')
    const rowOfB = async () => (await domain()).tokens.find(({ label }) => label === 'b')
    expect(await rowOfB()).toMatchObject({ state: 'retired', versions: [2] })
    expect(ceremonies.said.at(-1)).toMatch(/still holds version 2/)
    // It no longer stands in the way of a rotation.
    await rotateDomain({ ...parts(), settleMs: 0 }, region(['a']))
    expect(await domain()).toMatchObject({ rotation: undefined })
    await retireToken(parts(), region(), 'b')
    expect(await rowOfB()).toMatchObject({ state: 'retired', versions: [] })
    expect(await asPinHolder(locations.b!, 'listObjects', {})).toEqual([])
    await expect(retireToken(parts(), region(), 'a')).rejects.toThrow('is the last token of the domain')
  })
})
