/** Ids of requests: random UUIDs, no two alike. */
import { describe, expect, it } from '@jest/globals'
import { newRequestId } from '../../../src/api/request-ids.ts'

const VERSION_4 = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/
/** Of several batches. */
const COUNT = 2_000

describe('newRequestId', () => {
  const ids = Array.from({ length: COUNT }, newRequestId)

  it('is a random UUID', () => {
    for (const id of ids) expect(id).toMatch(VERSION_4)
  })

  it('is another one every time', () => {
    expect(new Set(ids).size).toBe(COUNT)
  })

  it('has every digit in every place that is random', () => {
    const places = Array.from({ length: 36 }, (_, place) => new Set(ids.map(id => id[place])).size)
    expect(places).toEqual([
      ...[16, 16, 16, 16, 16, 16, 16, 16, 1, 16, 16, 16, 16, 1, 1, 16, 16, 16, 1, 4, 16, 16, 16, 1],
      ...[16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16, 16],
    ])
  })
})
