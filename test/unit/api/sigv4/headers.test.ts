/** Headers as the signature sees them. */
import { describe, expect, it } from '@jest/globals'
import { foldHeaders } from '../../../../src/api/sigv4/headers.ts'

describe('foldHeaders', () => {
  it('writes names in lower case', () => {
    expect({ ...foldHeaders(['Host', 'kms', 'X-Amz-Date', '1']) }).toEqual({ host: 'kms', 'x-amz-date': '1' })
  })

  it('joins the values of a repeated header in the order of the wire, empty ones too', () => {
    const raw = ['A', '1', 'b', '', 'a', '2', 'B', 'x', 'A', '1']
    expect({ ...foldHeaders(raw) }).toEqual({ a: '1,2,1', b: ',x' })
  })

  it('has nothing that is not on the wire, whatever its name', () => {
    const fields = foldHeaders(['host', 'kms'])
    for (const name of ['constructor', '__proto__', 'toString', 'hasOwnProperty']) expect(fields[name]).toBeUndefined()
    expect(Object.keys(fields)).toEqual(['host'])
  })

  it('takes any name that is on the wire as it is', () => {
    const names = ['constructor', '__proto__', 'tostring', '1', 'prototype']
    const fields = foldHeaders(names.flatMap(name => [name, `value of ${name}`]))
    for (const name of names) expect(fields[name]).toBe(`value of ${name}`)
    expect(Object.keys(fields).sort()).toEqual(names.toSorted())
  })

  it('folds as many headers as a request can have', () => {
    const raw = Array.from({ length: 4_000 }, (_, at) => [`h-${at}`, String(at)]).flat()
    const fields = foldHeaders(raw)
    expect(Object.keys(fields)).toHaveLength(4_000)
    expect(fields['h-3999']).toBe('3999')
  })
})
