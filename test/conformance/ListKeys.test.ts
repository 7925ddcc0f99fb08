import { beforeAll, describe, expect, test } from '@jest/globals'
import { accountId, answer, elsewhere, INVALID_MARKER, kms, makeAlias, makeKey, OTHER_REGION, refusal } from './kms.ts'
import { readPages, takesPages } from './rules.ts'

describe('ListKeys', () => {
  // Other files make keys in the first region only.
  const ids: string[] = []

  beforeAll(async () => {
    const made = await Promise.all(Array.from({ length: 101 }, () => makeKey(elsewhere)))
    ids.push(...made.map(({ id }) => id).sort())
  })

  takesPages(1_000, page => elsewhere.listKeys(page))

  test('names every key of the region by id and ARN, and no other', async () => {
    const foreign = await makeKey()
    const { Keys, ...rest } = await answer(elsewhere.listKeys({ Limit: 1_000 }))
    expect(rest).toStrictEqual({ Truncated: false })
    expect(Keys!.filter(({ KeyId }) => ids.includes(KeyId!))).toStrictEqual(
      ids.map(id => ({ KeyId: id, KeyArn: `arn:aws:kms:${OTHER_REGION}:${accountId}:key/${id}` })),
    )
    expect(Keys!.map(({ KeyId }) => KeyId)).not.toContain(foreign.id)
  })

  test.each([1, 40, 101])('shows each key once in pages of %d', async limit => {
    const read = async (page: { Limit: number; Marker?: string }) => {
      const { Keys: items, ...rest } = await elsewhere.listKeys(page)
      return { items, ...rest }
    }
    const shown = (await readPages(limit, read)).flat().map(({ KeyId }) => KeyId!)
    expect(shown.filter(id => ids.includes(id))).toEqual(ids)
    expect(new Set(shown).size).toBe(shown.length)
  })

  test('shows 100 keys when Limit is absent', async () => {
    const { Keys, Truncated, NextMarker } = await elsewhere.listKeys({})
    expect(Keys).toHaveLength(100)
    expect({ Truncated, NextMarker }).toEqual({ Truncated: true, NextMarker: expect.any(String) })
  })

  test('shows disabled keys and those pending deletion too', async () => {
    const key = await makeKey(elsewhere)
    await elsewhere.scheduleKeyDeletion({ KeyId: key.id })
    const { Keys } = await elsewhere.listKeys({ Limit: 1_000 })
    expect(Keys!.map(({ KeyId }) => KeyId)).toContain(key.id)
  })

  test('refuses markers that it did not make: of another list, altered, or with something added', async () => {
    const { NextMarker } = await elsewhere.listKeys({ Limit: 1 })
    const key = await makeKey()
    await makeAlias(key)
    await makeAlias(key)
    const { NextMarker: ofAliases } = await kms.listAliases({ KeyId: key.id, Limit: 1 })
    for (const Marker of [ofAliases!, `${NextMarker} `, `${NextMarker}!`, NextMarker!.slice(1)]) {
      expect(await refusal(elsewhere.listKeys({ Marker }))).toBe(INVALID_MARKER)
    }
    expect(await refusal(kms.listKeys({ Marker: NextMarker! }))).toBe(INVALID_MARKER)
  })
})
