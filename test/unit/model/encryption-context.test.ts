import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { CONTEXT_MAX_BYTES, EMPTY_CONTEXT, encryptionContextFrom } from '../../../src/model/encryption-context.ts'

const entriesOf = (value: unknown) => {
  const context = encryptionContextFrom(value)
  return typeof context === 'string' ? context : [...context]
}

describe('encryptionContextFrom', () => {
  it('takes any object of well-formed strings, pair by pair', () => {
    const pairs = fc.uniqueArray(fc.tuple(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' })), {
      selector: ([key]) => key,
      maxLength: 10,
    })
    fc.assert(
      fc.property(pairs, pairs => {
        const parsed: unknown = JSON.parse(JSON.stringify(Object.fromEntries(pairs)))
        expect(new Map(entriesOf(parsed) as [string, string][])).toEqual(new Map(pairs))
      }),
    )
  })

  it('keeps a pair named __proto__, and gives no context a prototype of it', () => {
    const context = encryptionContextFrom(JSON.parse('{"__proto__":"x","constructor":"y"}'))
    expect(context).toEqual(
      new Map([
        ['__proto__', 'x'],
        ['constructor', 'y'],
      ]),
    )
    expect(encryptionContextFrom(JSON.parse('{"__proto__":{"a":"b"}}'))).toBe('type')
    expect(encryptionContextFrom(JSON.parse('{}'))).not.toEqual(context)
  })

  it('reads scalars in their literal form', () => {
    expect(entriesOf(JSON.parse('{"n":12,"d":1.5,"t":true,"f":false}'))).toEqual([
      ['n', '12'],
      ['d', '1.5'],
      ['t', 'true'],
      ['f', 'false'],
    ])
  })

  it.each(['{"k":"\\ud83d"}', '{"k":"\\udd11"}', '{"k":"\\udd11\\ud83d"}', '{"\\ud83d":"v"}', '{"a\\udd11b":"v"}'])(
    'refuses the lone surrogates of %s',
    json => {
      expect(encryptionContextFrom(JSON.parse(json))).toBe('surrogate')
    },
  )

  it('takes a surrogate pair', () => {
    expect(entriesOf(JSON.parse('{"k":"\\ud83d\\udd11"}'))).toEqual([['k', '\u{1f511}']])
  })

  it.each(['null', '1', '"a"', 'true', '[]', '["a"]', '{"k":null}', '{"k":{}}', '{"k":["v"]}'])('refuses %s', json => {
    expect(encryptionContextFrom(JSON.parse(json))).toBe('type')
  })

  it('bounds the bytes of keys and values together, in UTF-8', () => {
    const room = CONTEXT_MAX_BYTES - 3
    expect(encryptionContextFrom({ key: 'v'.repeat(room) })).toBeInstanceOf(Map)
    expect(encryptionContextFrom({ key: 'v'.repeat(room + 1) })).toBe('size')
    expect(encryptionContextFrom({ key: 'é'.repeat(room / 2 + 1) })).toBe('size')
    expect(encryptionContextFrom({ ['k'.repeat(CONTEXT_MAX_BYTES + 1)]: '' })).toBe('size')
    expect(encryptionContextFrom({ a: 'v'.repeat(CONTEXT_MAX_BYTES / 2), b: 'v'.repeat(CONTEXT_MAX_BYTES / 2) })).toBe(
      'size',
    )
  })

  it('has one empty context', () => {
    expect(encryptionContextFrom({})).toEqual(EMPTY_CONTEXT)
  })
})
