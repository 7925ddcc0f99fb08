import { describe, expect, test } from '@jest/globals'
import { aliasArn, answer, elsewhere, INVALID_MARKER, kms, makeAlias, makeKey, newAliasName, refusal } from './kms.ts'
import { ANY_STATE, obeysKeyState, readPages, takesKeyId, takesPages } from './rules.ts'

describe('ListAliases', () => {
  takesKeyId(KeyId => kms.listAliases({ KeyId }), { action: 'ListAliases', required: false })
  takesPages(100, page => kms.listAliases(page))
  obeysKeyState(({ id }) => kms.listAliases({ KeyId: id }), ANY_STATE)

  const read = (client: typeof kms, KeyId?: string) => async (page: { Limit: number; Marker?: string }) => {
    const { Aliases: items, ...rest } = await client.listAliases({ KeyId, ...page })
    return { items, ...rest }
  }

  test('returns all of the aliases of one key', async () => {
    const key = await makeKey()
    const names = [await makeAlias(key), await makeAlias(key)]
    await makeAlias(await makeKey())
    const now = expect.any(Date)
    expect(await answer(kms.listAliases({ KeyId: key.id }))).toStrictEqual({
      Aliases: names.sort().map(AliasName => ({
        AliasName,
        AliasArn: aliasArn(AliasName),
        TargetKeyId: key.id,
        CreationDate: now,
        LastUpdatedDate: now,
      })),
      Truncated: false,
    })
  })

  test('returns an empty list for a key without alias', async () => {
    const { id } = await makeKey()
    expect(await answer(kms.listAliases({ KeyId: id }))).toStrictEqual({ Aliases: [], Truncated: false })
  })

  test('shows every alias of the region once, in pages of any length, and none of another region', async () => {
    const [key, other] = [await makeKey(elsewhere), await makeKey(elsewhere)]
    const made: string[] = []
    for (let count = 0; count < 26; count++) made.push(await makeAlias(count % 2 === 0 ? key : other, elsewhere))
    const foreign = await makeAlias(await makeKey())
    for (const limit of [1, 7, 100]) {
      const shown = (await readPages(limit, read(elsewhere))).flat().map(({ AliasName }) => AliasName!)
      expect(shown.filter(name => made.includes(name))).toEqual(made.sort())
      expect(new Set(shown).size).toBe(shown.length)
      expect(shown).not.toContain(foreign)
    }
    const ofOne = (await readPages(5, read(elsewhere, key.id))).flat()
    expect(ofOne).toHaveLength(13)
    expect(ofOne.every(({ TargetKeyId }) => TargetKeyId === key.id)).toBe(true)
  })

  test('shows 50 aliases when Limit is absent', async () => {
    const [key, other] = [await makeKey(), await makeKey()]
    for (let count = 0; count < 26; count++) {
      await makeAlias(key)
      await makeAlias(other)
    }
    const { Aliases, Truncated, NextMarker } = await kms.listAliases({})
    expect(Aliases).toHaveLength(50)
    expect({ Truncated, NextMarker }).toEqual({ Truncated: true, NextMarker: expect.any(String) })
  })

  test('goes on behind an alias that was deleted meanwhile', async () => {
    const key = await makeKey()
    const names = [await makeAlias(key), await makeAlias(key), await makeAlias(key)].sort()
    const { NextMarker } = await kms.listAliases({ KeyId: key.id, Limit: 1 })
    await kms.deleteAlias({ AliasName: names[0] })
    const { Aliases } = await kms.listAliases({ KeyId: key.id, Marker: NextMarker! })
    expect(Aliases!.map(({ AliasName }) => AliasName)).toEqual(names.slice(1))
  })

  test('refuses the markers of other lists', async () => {
    const [key, other] = [await makeKey(), await makeKey()]
    for (const target of [key, key, other, other]) {
      await kms.createAlias({ AliasName: newAliasName(), TargetKeyId: target.id })
    }
    const ofAll = (await kms.listAliases({ Limit: 1 })).NextMarker!
    const ofOne = (await kms.listAliases({ KeyId: key.id, Limit: 1 })).NextMarker!
    const ofKeys = (await kms.listKeys({ Limit: 1 })).NextMarker!
    for (const [KeyId, Marker] of [
      [key.id, ofAll],
      [other.id, ofOne],
      [undefined, ofOne],
      [undefined, ofKeys],
    ] as const) {
      expect(await refusal(kms.listAliases({ KeyId, Marker }))).toBe(INVALID_MARKER)
    }
  })
})
