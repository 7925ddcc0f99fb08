/** What a lane has in flight: ids, order, room, and what becomes of ids that nobody goes by. */
import { describe, expect, it } from '@jest/globals'
import { Errand } from '../../../../src/hsm/pool/errand.ts'
import { InFlight } from '../../../../src/hsm/pool/in-flight.ts'

const LAST_ID = 0xffff_ffff

const errand = () => new Errand('generateRandom', { lengthBytes: 1 })
const errands = (count: number) => Array.from({ length: count }, errand)

describe('what is in flight', () => {
  it('is given consecutive ids, and is found by them once', () => {
    const inFlight = new InFlight()
    const [first, second] = errands(2) as [Errand, Errand]
    expect([inFlight.add(first), inFlight.add(second)]).toEqual([1, 2])
    expect(inFlight.size).toBe(2)
    expect(inFlight.take(2)).toBe(second)
    expect(inFlight.take(2)).toBeUndefined()
    expect(inFlight.oldest).toBe(first)
    expect(inFlight.take(1)).toBe(first)
    expect(inFlight.size).toBe(0)
    expect(inFlight.oldest).toBeUndefined()
  })

  it.each([0, 1, 4, 65, LAST_ID])('has nothing under the id %d, which was not given out or is answered', id => {
    const inFlight = new InFlight()
    for (const each of errands(3)) inFlight.add(each)
    inFlight.take(1)
    expect(inFlight.take(id)).toBeUndefined()
    expect(inFlight.size).toBe(2)
  })

  it('is listed from the oldest on, however many there are and whatever was answered before', () => {
    const inFlight = new InFlight()
    const sent = errands(1_000)
    const ids = sent.map(each => inFlight.add(each))
    const odd = ids.filter(id => id % 2 === 1)
    for (const id of odd) expect(inFlight.take(id)).toBe(sent[id - 1])
    expect([...inFlight]).toEqual(ids.filter(id => id % 2 === 0).map(id => [id, sent[id - 1]]))
    expect(inFlight.oldest).toBe(sent[1])
    expect(inFlight.size).toBe(500)
  })

  it('goes on after the last id, and never gives out 0', () => {
    const inFlight = new InFlight(LAST_ID - 1)
    const sent = errands(200)
    const ids = sent.map(each => inFlight.add(each))
    expect(ids.slice(0, 4)).toEqual([LAST_ID - 1, LAST_ID, 1, 2])
    expect([...inFlight].map(([id]) => id)).toEqual(ids)
    expect(inFlight.take(0)).toBeUndefined()
    for (const [at, id] of ids.entries()) {
      expect(inFlight.oldest).toBe(sent[at])
      expect(inFlight.take(id)).toBe(sent[at])
    }
    expect(inFlight.size).toBe(0)
  })

  it('has an oldest one when it was empty as ids ended', () => {
    const inFlight = new InFlight(LAST_ID)
    inFlight.take(inFlight.add(errand()))
    const next = errand()
    expect(inFlight.add(next)).toBe(1)
    expect(inFlight.oldest).toBe(next)
  })

  it('is nothing after it was cleared, and ids go on', () => {
    const inFlight = new InFlight()
    for (const each of errands(3)) inFlight.add(each)
    inFlight.clear()
    expect([inFlight.size, inFlight.oldest, [...inFlight]]).toEqual([0, undefined, []])
    expect(inFlight.take(2)).toBeUndefined()
    expect(inFlight.add(errand())).toBe(4)
  })
})
