/** What the first process knows of the others, as they told last. */
import { describe, expect, it } from '@jest/globals'
import { type ChainStanding, SiblingChains } from '../../../src/processes/sibling-chains.ts'

const WELL = { chain: 'a', stored: undefined, failure: undefined, unwritable: undefined, ready: true }

function told(...standings: readonly Partial<ChainStanding>[]): SiblingChains {
  const siblings = new SiblingChains()
  for (const [at, standing] of standings.entries()) siblings.told(at + 1, { ...WELL, ...standing })
  return siblings
}

describe('service processes', () => {
  it('are named when they can record nothing, or change nothing', () => {
    const siblings = told({}, { failure: 'the disk is full', unwritable: 'the key store is read-only' })
    expect(siblings.failure).toEqual({ reason: 'service process 2: the disk is full' })
    expect(siblings.unwritable).toBe('service process 2: the key store is read-only')
    expect([told({}).failure, told({}).unwritable]).toEqual([undefined, undefined])
  })

  it('keep nobody when they are gone, and serve nobody', () => {
    const siblings = told({ failure: 'the disk is full', unwritable: 'the disk is full' })
    siblings.left(1)
    expect([siblings.failure, siblings.unwritable, siblings.isReady(1)]).toEqual([undefined, undefined, false])
    // The chain stays open until another process closes it.
    expect(siblings.isOpen('a')).toBe(true)
  })

  it('are ready when they say so', () => {
    const siblings = told({ ready: false })
    expect([siblings.isReady(1), siblings.isReady(2)]).toEqual([false, false])
    siblings.becameReady(1)
    expect(siblings.isReady(1)).toBe(true)
  })
})
