import { createHmac } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { describe, expect, it } from '@jest/globals'
import { type RowMacFields, type RowValues, rowContent, rowMacInput } from '../../../src/formats/row-mac.ts'

interface Vector {
  readonly name: string
  readonly table: string
  readonly primaryKey: string
  readonly generation: number
  readonly macVersion: number
  readonly rows: { readonly table: string; readonly values: Record<string, string | number | null | { hex: string }> }[]
  readonly content: string
  readonly input: string
  readonly mac: string
}

const file = new URL('../../vectors/row-mac.json', import.meta.url)
const { macKey, domainId, vectors } = JSON.parse(readFileSync(file, 'utf8')) as {
  macKey: string
  domainId: string
  vectors: Vector[]
}

const rowsOf = ({ rows }: Vector) =>
  rows.map(({ table, values }) => ({
    table,
    values: Object.fromEntries(
      Object.entries(values).map(([name, value]) => [
        name,
        typeof value === 'object' && value !== null ? Buffer.from(value.hex, 'hex') : value,
      ]),
    ),
  }))

const fields: RowMacFields = {
  ...{ domainId: Buffer.from(domainId, 'hex'), macVersion: 1, table: 'keys', primaryKey: 'a/b', generation: 1 },
  content: rowContent([]),
}

describe('the frozen vectors', () => {
  it.each(vectors)('give content and MAC: $name', vector => {
    const { table, primaryKey, generation, macVersion } = vector
    const content = rowContent(rowsOf(vector))
    expect(content.toString('hex')).toBe(vector.content)
    const named = { domainId: Buffer.from(domainId, 'hex'), table, primaryKey, generation, macVersion }
    const input = rowMacInput({ ...named, content })
    expect(input.toString('hex')).toBe(vector.input)
    expect(createHmac('sha256', Buffer.from(macKey, 'hex')).update(input).digest('hex')).toBe(vector.mac)
  })
})

describe('the content of a record', () => {
  const row = (values: RowValues) => ({ table: 'tags', values })

  it('does not depend on the order of rows and columns, nor on columns that are null', () => {
    const [first, second] = [row({ a: '1', b: 2 }), row({ a: '3' })]
    const content = rowContent([first, second])
    expect(rowContent([second, first])).toEqual(content)
    expect(rowContent([row({ b: 2, c: null, a: '1' }), second])).toEqual(content)
  })

  it.each<[string, RowValues, RowValues]>([
    ['text and number', { a: '1' }, { a: 1 }],
    ['text and bytes', { a: '1' }, { a: Buffer.from('1') }],
    ['empty and null', { a: '' }, { a: null }],
    ['the columns that hold it', { a: 'x', b: 'y' }, { a: 'y', b: 'x' }],
    ['where a value ends', { a: 'xy', b: 'z' }, { a: 'x', b: 'yz' }],
  ])('tells apart: %s', (_what, one, other) => {
    expect(rowContent([row(one)])).not.toEqual(rowContent([row(other)]))
  })

  it('tells a row from the same in another table, and twice from once', () => {
    const once = rowContent([row({ a: '1' })])
    expect(rowContent([{ table: 'grants', values: { a: '1' } }])).not.toEqual(once)
    expect(rowContent([row({ a: '1' }), row({ a: '1' })])).not.toEqual(once)
  })
})

describe('the input of the MAC', () => {
  it.each<[keyof RowMacFields, Partial<RowMacFields>]>([
    ['domainId', { domainId: Buffer.alloc(16) }],
    ['macVersion', { macVersion: 2 }],
    ['table', { table: 'key' }],
    ['primaryKey', { primaryKey: 'a/c' }],
    ['generation', { generation: 2 }],
    ['content', { content: rowContent([{ table: 'keys', values: {} }]) }],
  ])('covers %s', (_name, change) => {
    expect(rowMacInput({ ...fields, ...change })).not.toEqual(rowMacInput(fields))
  })
})
