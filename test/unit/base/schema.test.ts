/** Shapes: what they let through, and AWS's words for what they do not. */
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import * as z from 'zod'
import {
  blob,
  boolean,
  broken,
  custom,
  type Infer,
  integer,
  list,
  oneOf,
  optional,
  parseInput,
  type Structure,
  structure,
  text,
  wrongType,
} from '../../../src/base/schema.ts'

const upperCase = custom<string>(value => {
  if (typeof value !== 'string') return wrongType('Expected a string')
  return value === value.toUpperCase() ? value : broken('Member must be upper case')
})

const input = structure({
  KeyId: text({ min: 1, max: 8 }),
  KeySpec: optional(oneOf(['AES_256', 'AES_128'])),
  NumberOfBytes: optional(integer({ min: 1, max: 1024 })),
  AliasName: optional(text({ pattern: /^[a-zA-Z0-9:/_-]+$/ })),
  Plaintext: optional(blob({ min: 1, max: 4 })),
  Password: optional(text({ min: 3, sensitive: true })),
  GrantTokens: optional(list(text({ min: 1, max: 4 }), { max: 2 })),
  Modes: optional(list(oneOf(['ON', 'OFF']))),
  Names: optional(list(text({ pattern: /^[a-z/]+$/ }))),
  Wide: optional(list(text({ max: 4 }))),
  Blobs: optional(list(blob(), { max: 1 })),
  Tags: optional(list(structure({ TagKey: text({ min: 1, max: 128 }), TagValue: text({ max: 256 }) }), { max: 2 })),
  DryRun: optional(boolean()),
  Custom: optional(upperCase),
})

function constraints(json: unknown, shape: Structure = input): string {
  const parsed = parseInput(shape, json)
  if (parsed.fault !== 'constraints') throw new Error(`expected broken constraints, got ${JSON.stringify(parsed)}`)
  return parsed.message
}

function failure(member: string, rule: string): string {
  return `1 validation error detected: ${member} failed to satisfy constraint: Member must ${rule}`
}

describe('a good input', () => {
  it('has the types of its shape', () => {
    const value: Infer<typeof input> = {
      KeyId: 'a',
      KeySpec: 'AES_128',
      Plaintext: Buffer.from('x'),
      DryRun: undefined,
    }
    const spec: 'AES_256' | 'AES_128' | undefined = value.KeySpec
    const tags: { TagKey: string; TagValue: string }[] | undefined = value.Tags
    expect([spec, tags]).toEqual(['AES_128', undefined])
  })

  it('comes out with bytes for base64, and without unknown members', () => {
    const json = {
      KeyId: 'a',
      KeySpec: 'AES_256',
      NumberOfBytes: 32,
      Plaintext: 'c2VjcmV0'.slice(0, 4),
      GrantTokens: ['t'],
      Tags: [{ TagKey: 'k', TagValue: '', Unknown: 1 }],
      DryRun: false,
      Custom: 'X',
      Unknown: {},
    }
    expect(parseInput(input, json)).toEqual({
      value: {
        KeyId: 'a',
        KeySpec: 'AES_256',
        NumberOfBytes: 32,
        Plaintext: Buffer.from('sec'),
        GrantTokens: ['t'],
        Tags: [{ TagKey: 'k', TagValue: '' }],
        DryRun: false,
        Custom: 'X',
      },
    })
  })

  it('may have null for any member that is optional, and null elements, which are dropped', () => {
    const json = { KeyId: 'a', KeySpec: null, Plaintext: null, Custom: null, GrantTokens: [null, 't'], Tags: null }
    expect(parseInput(input, json)).toEqual({ value: { KeyId: 'a', GrantTokens: ['t'] } })
  })

  it('refuses a lone surrogate in a text, and takes a pair', () => {
    const shape = structure({ Name: text() })
    expect(parseInput(shape, { Name: 'a\ud83d\ude00' })).toEqual({ value: { Name: 'a\ud83d\ude00' } })
    expect(parseInput(shape, { Name: 'a\ud83d' })).toMatchObject({
      fault: 'constraints',
      message: expect.stringContaining("at 'name' failed to satisfy constraint: Member must be well-formed Unicode"),
    })
  })

  it('counts text in code points', () => {
    expect(parseInput(input, { KeyId: '\u{1F511}'.repeat(8) }).fault).toBeUndefined()
    expect(parseInput(input, { KeyId: '\u{1F511}'.repeat(9) }).fault).toBe('constraints')
  })

  it('is not disturbed by members named like those of every object', () => {
    const json = JSON.parse('{"KeyId":"a","__proto__":{"KeySpec":"AES_256"},"constructor":1,"toString":null}')
    expect(parseInput(input, json)).toEqual({ value: { KeyId: 'a' } })
    expect(constraints(JSON.parse('{"__proto__":{"KeyId":"a"}}'))).toMatch(/^1 validation error/)
  })

  it('does not ask a custom shape about an absent member', () => {
    let asked = 0
    const count = custom(value => {
      asked++
      return value
    })
    const shape = structure({ A: optional(count), B: optional(boolean()) })
    parseInput(shape, {})
    parseInput(shape, { A: null, B: null })
    expect(asked).toBe(0)
  })
})

describe('broken constraints', () => {
  it.each([
    [{}, failure("Value null at 'keyId'", 'not be null')],
    [{ KeyId: null }, failure("Value null at 'keyId'", 'not be null')],
    [{ KeyId: '' }, failure("Value '' at 'keyId'", 'have length greater than or equal to 1')],
    [{ KeyId: 'abcdefghi' }, failure("Value 'abcdefghi' at 'keyId'", 'have length less than or equal to 8')],
    [{ KeyId: 'a', KeySpec: 'AES' }, failure("Value 'AES' at 'keySpec'", 'satisfy enum value set: [AES_256, AES_128]')],
    [
      { KeyId: 'a', NumberOfBytes: 0 },
      failure("Value '0' at 'numberOfBytes'", 'have value greater than or equal to 1'),
    ],
    [
      { KeyId: 'a', NumberOfBytes: 1025 },
      failure("Value '1025' at 'numberOfBytes'", 'have value less than or equal to 1024'),
    ],
    [
      { KeyId: 'a', AliasName: 'a b' },
      failure("Value 'a b' at 'aliasName'", 'satisfy regular expression pattern: ^[a-zA-Z0-9:/_-]+$'),
    ],
    [
      { KeyId: 'a', GrantTokens: ['a', 'b', 'c'] },
      failure("Value '[a, b, c]' at 'grantTokens'", 'have length less than or equal to 2'),
    ],
    [
      { KeyId: 'a', GrantTokens: ['a', ''] },
      failure(
        "Value '[a, ]' at 'grantTokens'",
        'satisfy constraint: [Member must have length less than or equal to 4, Member must have length greater than or equal to 1]',
      ),
    ],
    [
      { KeyId: 'a', Modes: ['ON', 'Foo', 'Bar'] },
      failure(
        "Value '[ON, Foo, Bar]' at 'modes'",
        'satisfy constraint: [Member must satisfy enum value set: [ON, OFF]]',
      ),
    ],
    [
      { KeyId: 'a', Names: ['A/'] },
      failure(
        "Value '[A/]' at 'names'",
        'satisfy constraint: [Member must satisfy regular expression pattern: ^[a-z/]+$]',
      ),
    ],
    [
      { KeyId: 'a', Wide: ['b', '\ud800'] },
      failure("Value '[b, \ud800]' at 'wide'", 'satisfy constraint: [Member must be well-formed Unicode]'),
    ],
    [
      { KeyId: 'a', Tags: [{ TagKey: '', TagValue: '' }] },
      failure("Value '' at 'tags.1.member.tagKey'", 'have length greater than or equal to 1'),
    ],
    [{ KeyId: 'a', Tags: [{ TagKey: 'k' }] }, failure("Value null at 'tags.1.member.tagValue'", 'not be null')],
    [{ KeyId: 'a', Custom: 'x' }, failure("Value 'x' at 'custom'", 'be upper case')],
  ])('%j', (json, message) => {
    expect(constraints(json)).toBe(message)
  })

  it('are reported all together', () => {
    expect(constraints({ KeySpec: 'X', NumberOfBytes: 0 })).toBe(
      "3 validation errors detected: Value null at 'keyId' failed to satisfy constraint: Member must not be null; " +
        "Value 'X' at 'keySpec' failed to satisfy constraint: Member must satisfy enum value set: [AES_256, AES_128]; " +
        "Value '0' at 'numberOfBytes' failed to satisfy constraint: Member must have value greater than or equal to 1",
    )
    const both = structure({ Name: text({ max: 3, pattern: /^[a-z]+$/ }) })
    expect(constraints({ Name: 'ABCD' }, both)).toBe(
      "2 validation errors detected: Value 'ABCD' at 'name' failed to satisfy constraint: Member must have length less than or equal to 3; " +
        "Value 'ABCD' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-z]+$",
    )
  })

  it('never show a sensitive value', () => {
    expect(constraints({ KeyId: 'a', Plaintext: 'c2VjcmV0' })).toBe(
      failure("Value at 'plaintext'", 'have length less than or equal to 4'),
    )
    expect(constraints({ KeyId: 'a', Plaintext: '' })).toBe(
      failure("Value at 'plaintext'", 'have length greater than or equal to 1'),
    )
    expect(constraints({ KeyId: 'a', Password: 'pw' })).toBe(
      failure("Value at 'password'", 'have length greater than or equal to 3'),
    )
    expect(constraints({ KeyId: 'a', Blobs: ['c2Vj', 'cmV0'] })).toBe(
      failure("Value at 'blobs'", 'have length less than or equal to 1'),
    )
  })

  it('show at most 10,000 characters of a value, nothing of an object, and at most 64 failures', () => {
    expect(constraints({ KeyId: 'x'.repeat(10_000) })).toContain(`Value '${'x'.repeat(10_000)}' at 'keyId'`)
    expect(constraints({ KeyId: 'x'.repeat(10_001) })).toContain(`Value '${'x'.repeat(10_000)}...' at 'keyId'`)
    const tag = { TagKey: 'k', TagValue: 'v' }
    expect(constraints({ KeyId: 'a', Tags: [tag, tag, tag] })).toBe(
      failure("Value at 'tags'", 'have length less than or equal to 2'),
    )
    const many = { Names: Array(10_000).fill({ Name: '' }) }
    const listed = constraints(many, structure({ Names: list(structure({ Name: text({ min: 1 }) })) }))
    expect(listed).toMatch(/^10000 validation errors detected: /)
    expect(listed.length).toBeLessThan(12_000)
    const whole = constraints({ Names: Array(10_000).fill('') }, structure({ Names: list(text({ min: 1 })) }))
    expect(whole).toMatch(/^1 validation error detected: /)
    expect(whole.length).toBeLessThan(12_000)
  })
})

describe('faults of type', () => {
  it.each([
    [{ KeyId: 1 }, 'keyId', 'NUMBER_VALUE can not be converted to a String'],
    [{ KeyId: true }, 'keyId', 'TRUE_VALUE can not be converted to a String'],
    [{ KeyId: ['a'] }, 'keyId', 'Start of list found where not expected'],
    [{ KeyId: {} }, 'keyId', 'Start of structure or map found where not expected.'],
    [{ KeyId: 'a', KeySpec: 1 }, 'keySpec', 'NUMBER_VALUE can not be converted to a String'],
    [{ KeyId: 'a', NumberOfBytes: '1' }, 'numberOfBytes', 'STRING_VALUE can not be converted to an Integer'],
    [{ KeyId: 'a', NumberOfBytes: 1.5 }, 'numberOfBytes', 'NUMBER_VALUE can not be converted to an Integer'],
    [{ KeyId: 'a', NumberOfBytes: 1e300 }, 'numberOfBytes', 'NUMBER_VALUE can not be converted to an Integer'],
    [{ KeyId: 'a', DryRun: 'true' }, 'dryRun', 'STRING_VALUE can not be converted to a Boolean'],
    [{ KeyId: 'a', GrantTokens: 't' }, 'grantTokens', 'Expected list or null'],
    [{ KeyId: 'a', GrantTokens: {} }, 'grantTokens', 'Start of structure or map found where not expected.'],
    [{ KeyId: 'a', GrantTokens: [1] }, 'grantTokens.1.member', 'NUMBER_VALUE can not be converted to a String'],
    [{ KeyId: 'a', Tags: [[]] }, 'tags.1.member', 'Start of list found where not expected'],
    [{ KeyId: 'a', Tags: ['x'] }, 'tags.1.member', 'Expected null'],
    [{ KeyId: 'a', Plaintext: 7 }, 'plaintext', 'NUMBER_VALUE can not be converted to a Blob'],
    [{ KeyId: 'a', Plaintext: 'not base64' }, 'plaintext', 'Invalid Base64'],
    [{ KeyId: 'a', Custom: 7 }, 'custom', 'Expected a string'],
  ])('%j', (json, path, message) => {
    expect(parseInput(input, json)).toEqual({ fault: 'type', path, message })
  })

  it('come before every constraint', () => {
    expect(parseInput(input, { KeyId: '', KeySpec: 'X', DryRun: 0 }).fault).toBe('type')
    expect(parseInput(input, { DryRun: 0 }).fault).toBe('type')
  })
})

describe('base64', () => {
  const reference = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
  const shape = structure({ B: blob() })

  it('takes what Buffer writes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), bytes => {
        const B = Buffer.from(bytes).toString('base64')
        expect(parseInput(shape, { B })).toEqual({ value: { B: Buffer.from(bytes) } })
      }),
    )
  })

  it('takes nothing else: one value has one encoding', () => {
    const nearly = fc.string({ unit: fc.constantFrom(...'AQZgw09+/=-_ \n\u0141\u00e9'), maxLength: 12 })
    fc.assert(
      fc.property(nearly, B => {
        const canonical = reference.test(B) && Buffer.from(B, 'base64').toString('base64') === B
        expect(parseInput(shape, { B }).fault === undefined).toBe(canonical)
      }),
      { numRuns: 5_000 },
    )
  })
})

describe('the compiled parser', () => {
  it('agrees with the one that zod interprets', () => {
    const member = fc.oneof(
      fc.constantFrom<unknown>('', 'a', 'AES_256', 'abcdefghi', 'X', 'c2Vj', null, true, 0, 32, 1.5, 5_000, {}, []),
      fc.array(fc.constantFrom<unknown>('', 't', 1, { TagKey: 'k', TagValue: 'v' }, { TagKey: '' }), { maxLength: 3 }),
    )
    const members = Object.fromEntries(Object.keys(input.shape).map(name => [name, member]))
    fc.assert(
      fc.property(fc.record(members, { requiredKeys: [] }), json => {
        const interpreted = input.safeParse(json)
        const parsed = parseInput(input, json)
        if (interpreted.success) expect(parsed).toEqual({ value: interpreted.data })
        const compiled = z.compile(input, { strict: true }).safeParse(json)
        expect(compiled.success).toBe(interpreted.success)
      }),
      { numRuns: 300 },
    )
  })
})
