/** What was made of a text, by the text. */
import { describe, expect, it } from '@jest/globals'
import { Remembered } from '../../../../src/api/sigv4/remembered.ts'

describe('remembered', () => {
  const counting = () => {
    const made: string[] = []
    const remembered = new Remembered(text => {
      made.push(text)
      if (text === 'bad') throw new RangeError('bad')
      return { text }
    })
    return { made, remembered }
  }

  it('makes once what the same text says again', () => {
    const { made, remembered } = counting()
    expect(remembered.of('a')).toBe(remembered.of('a'))
    expect(remembered.of('b')).toEqual({ text: 'b' })
    expect(made).toEqual(['a', 'b'])
  })

  it('throws each time what a text has against it', () => {
    const { made, remembered } = counting()
    for (let i = 0; i < 2; i++) expect(() => remembered.of('bad')).toThrow(RangeError)
    expect(made).toEqual(['bad', 'bad'])
  })

  it('keeps neither many texts nor long ones', () => {
    const { made, remembered } = counting()
    const long = 'x'.repeat(513)
    expect(remembered.of(long)).toEqual(remembered.of(long))
    expect(made).toEqual([long, long])
    remembered.of('first')
    for (let i = 0; i < 64; i++) remembered.of(String(i))
    made.length = 0
    remembered.of('63')
    remembered.of('first')
    expect(made).toEqual(['first'])
  })
})
