import { describe, expect, it } from '@jest/globals'
import { readGrantToken, writeGrantToken } from '../../../src/formats/grant-token.ts'

const GRANT_ID = '00112233445566778899aabbccddeeff'.repeat(2)
const SEED = Buffer.from('0123456789abcdef'.repeat(4), 'hex')
/** 01, the grant id, and the first half of SHA-256("strongroom/grant-token/1" + seed). Never changes. */
const TOKEN = 'AQARIjNEVWZ3iJmqu8zd7v8AESIzRFVmd4iZqrvM3e7_a1cs3rTxQWXHc81p37uLtg'

describe('a grant token', () => {
  it('is what it always was', () => {
    expect(writeGrantToken(GRANT_ID, SEED)).toBe(TOKEN)
  })

  it('names its grant, and is of its seed only', () => {
    const read = readGrantToken(TOKEN)
    expect(read?.grantId).toBe(GRANT_ID)
    expect(read?.isOf(SEED)).toBe(true)
    expect(read?.isOf(Buffer.alloc(32))).toBe(false)
  })

  it('with any bit of the tag changed is of no seed', () => {
    const bytes = Buffer.from(TOKEN, 'base64url')
    for (let bit = 33 * 8; bit < bytes.length * 8; bit++) {
      const changed = Buffer.from(bytes)
      changed[bit >> 3]! ^= 1 << (bit & 7)
      expect(readGrantToken(changed.toString('base64url'))?.isOf(SEED)).toBe(false)
    }
  })

  it.each([
    ['empty', ''],
    ['cut', TOKEN.slice(0, -4)],
    ['longer', `${TOKEN}AAAA`],
    ['of another version', `Ag${TOKEN.slice(2)}`],
    ['padded', `${TOKEN}=`],
    ['in the other alphabet', `${TOKEN.slice(0, -1)}+`],
    ['with a blank', ` ${TOKEN}`],
  ])('that is %s is none', (_, token) => {
    expect(readGrantToken(token)).toBeUndefined()
  })
})
