import { describe, expect, it } from '@jest/globals'
import { RowRefused } from '../../../src/store/faults.ts'
import type { DaemonKey, Domain } from '../../../src/store/store.ts'
import { DomainFollower } from '../../../src/tasks/follow-domains.ts'
import { silentLogger } from '../../support/tokens.ts'
import { makeDaemonKey, makeDomain } from '../store/records.ts'

function follow(rows: Map<string, Domain>, fails = false) {
  const told: Domain[] = []
  const daemonKeys: DaemonKey[] = []
  const daemonKey = makeDaemonKey()
  const warnings: string[] = []
  let refused = false
  const findDomain = async (region: string) => {
    if (refused) throw new RowRefused('domains', region, 'its MAC does not match it')
    return rows.get(region)
  }
  const follower = new DomainFollower({
    reader: { findDomain, findDaemonKey: async () => daemonKey },
    regions: new Map([...rows.keys()].map(region => [region, tell(told, fails)])),
    daemonKeys: new Map([['identity', key => void daemonKeys.push(key)]]),
    logger: { ...silentLogger, warn: message => void warnings.push(message) },
  })
  const refuse = (value: boolean) => {
    refused = value
  }
  return { follower, told, daemonKeys, daemonKey, warnings, refuse }
}

const tell = (told: Domain[], fails: boolean) => async (domain: Domain) => {
  told.push(domain)
  if (fails) throw new Error('no host came up')
}

describe('following domains', () => {
  it('tells of a domain once for each generation, and reads the daemon keys again', async () => {
    const domain = makeDomain()
    const rows = new Map([[domain.region, domain]])
    const { follower, told, daemonKeys, daemonKey } = follow(rows)
    await follower.run()
    await follower.run()
    expect(told).toEqual([domain])
    const changed = { ...domain, generation: domain.generation + 1 }
    rows.set(domain.region, changed)
    await follower.run()
    expect(told).toEqual([domain, changed])
    expect(daemonKeys).toEqual([daemonKey, daemonKey])
  })

  it('keeps hosts to the row that was genuine last, and says that another is not', async () => {
    const domain = makeDomain()
    const rows = new Map([[domain.region, domain]])
    const { follower, told, refuse } = follow(rows)
    await follower.run()
    refuse(true)
    await expect(follower.run()).rejects.toBeInstanceOf(RowRefused)
    expect(told).toEqual([domain, domain])
    refuse(false)
    await follower.run()
    expect(told).toHaveLength(2)
  })

  it('waits for a domain that is being made, and goes on when hosts cannot be replaced', async () => {
    const domain = makeDomain()
    const rows = new Map<string, Domain>([[domain.region, { ...domain, state: 'creating' }]])
    const { follower, told, warnings } = follow(rows, true)
    await follower.run()
    expect(told).toEqual([])
    rows.set(domain.region, { ...domain, generation: 2 })
    await follower.run()
    await new Promise(resolve => setImmediate(resolve))
    expect([told.length, warnings]).toEqual([1, ['some hosts keep the former domain']])
  })
})
