/** Two daemons on one key store, which come upon the first use of a service's key together. */
import { randomBytes } from 'node:crypto'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import type { Keyring } from '../../src/keyring/keyring.ts'
import { servicePrincipal } from '../../src/model/arn.ts'
import { ServiceKeys } from '../../src/operations/service-keys.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Store } from '../../src/store/store.ts'
import { waitUntil } from '../support/processes.ts'
import { makeDomain, makeIdentity, makeMaterial, makeTemporaryFolder, SCOPE } from '../unit/store/records.ts'

const ALIAS = 'alias/aws/storage'

let folder: ReturnType<typeof makeTemporaryFolder>
let stores: Store[]
/** Of each daemon, HBKs that it has made. */
let made: number[]

beforeEach(async () => {
  folder = makeTemporaryFolder()
  const path = join(folder.path, 'store.db')
  stores = [await openStore({ path }), await openStore({ path })]
  made = [0, 0]
  await stores[0]!.transaction(async tx => {
    await tx.insertAccount({ id: SCOPE.account, name: '', createdAtMs: 1 })
    await tx.putDomain(makeDomain())
    const name = 'storage'
    const service = { kind: 'service', arn: servicePrincipal(name), path: '/', actsFor: [SCOPE.account] } as const
    await tx.insertIdentity(makeIdentity(name, service))
  })
})

afterEach(async () => {
  for (const store of stores) await store.close()
  folder.remove()
})

/** A daemon's service keys. `ready` is waited for while the HSM makes an HBK. */
function daemon(index: 0 | 1, ready: Promise<void> = Promise.resolve()): ServiceKeys {
  const keyring = {
    async createMaterial() {
      made[index]! += 1
      await ready
      return { ...makeMaterial(), ekt: { record: randomBytes(300), digest: randomBytes(32) } }
    },
  }
  return new ServiceKeys({ store: stores[index]!, keyring: keyring as unknown as Keyring, clock: () => 1_000 })
}

async function firstUse(keys: ServiceKeys) {
  const planned = await keys.plan(SCOPE, ALIAS)
  return keys.make(planned!, ALIAS)
}

describe('the first use of a service’s key', () => {
  it('by two daemons at once makes one key, whoever is first', async () => {
    const gate = Promise.withResolvers<void>()
    const racing = [firstUse(daemon(0, gate.promise)), firstUse(daemon(1, gate.promise))]
    await waitUntil(() => !made.includes(0), 60_000)
    gate.resolve()
    const [one, other] = await Promise.all(racing)
    expect(one).toBeDefined()
    expect(other).toEqual(one)
    expect(made).toEqual([1, 1])
    for (const { reader } of stores)
      expect(await reader.listKeyIds(SCOPE, { after: undefined, limit: 9 })).toEqual([one!.id])
  })

  it('by many callers of one daemon makes one HBK', async () => {
    const keys = daemon(0)
    const found = await Promise.all(Array.from({ length: 9 }, () => firstUse(keys)))
    expect(new Set(found.map(key => key?.id)).size).toBe(1)
    expect(made).toEqual([1, 0])
    expect(await stores[0]!.reader.findKey(SCOPE, found[0]!.id)).toMatchObject({
      ...{ managedBy: 'storage', aliases: [ALIAS], rotation: { periodDays: 365, nextAtMs: 1_000 + 365 * 86_400_000 } },
    })
  })

  it('leaves nothing when no HSM makes an HBK, and may be tried again', async () => {
    const failing = { createMaterial: () => Promise.reject(new Error('no HSM')) } as unknown as Keyring
    const keys = new ServiceKeys({ store: stores[0]!, keyring: failing, clock: () => 1_000 })
    await expect(firstUse(keys)).rejects.toThrow('no HSM')
    expect(await stores[0]!.reader.findAlias(SCOPE, ALIAS)).toBeUndefined()
    expect(await firstUse(daemon(0))).toBeDefined()
  })
})
