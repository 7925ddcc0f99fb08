import { describe, expect, it } from '@jest/globals'
import type { Args, CommandName } from '../../../../src/hsm/contract/commands.ts'
import type { EktReference } from '../../../../src/hsm/contract/fields.ts'
import { holdersOf } from '../../../../src/hsm/pool/holders.ts'

const ekt = (...holders: string[]): EktReference => ({ digest: Buffer.alloc(32), record: Buffer.alloc(1), holders })
const wrapped: EktReference = { digest: Buffer.alloc(32), record: Buffer.alloc(1) }
const of = (args: Partial<Record<'ekt' | 'source' | 'destination', EktReference>>) =>
  holdersOf(args as unknown as Args<CommandName>)

describe('the tokens that can serve a command', () => {
  it('are all where it needs no HBK, or wrapped ones', () => {
    expect(of({})).toBeUndefined()
    expect(of({ ekt: wrapped })).toBeUndefined()
    expect(of({ source: wrapped, destination: wrapped })).toBeUndefined()
  })

  it('are those that hold its resident HBK', () => {
    expect(of({ ekt: ekt('a', 'b') })).toEqual(['a', 'b'])
    expect(of({ source: wrapped, destination: ekt('a') })).toEqual(['a'])
    expect(of({ source: ekt('b'), destination: wrapped })).toEqual(['b'])
  })

  it('are those that hold both, and none where the two are apart', () => {
    expect(of({ source: ekt('a', 'b'), destination: ekt('b', 'c') })).toEqual(['b'])
    expect(of({ source: ekt('a'), destination: ekt('b') })).toEqual([])
  })
})
