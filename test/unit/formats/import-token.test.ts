import { createHash } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { MalformedBytes } from '../../../src/base/bytes.ts'
import {
  decodeImportToken,
  encodeImportToken,
  type ImportTerms,
  importMacInput,
} from '../../../src/formats/import-token.ts'
import { importCommitmentInput, importedMidInput } from '../../../src/formats/imported-material.ts'

const bytes = (length: number, value: number) => Buffer.alloc(length, value)
const terms: ImportTerms = {
  ...{
    domainId: bytes(16, 1),
    region: 'on-prem-1',
    account: '000000000001',
    kid: bytes(17, 2),
    importId: bytes(16, 3),
  },
  ...{ algorithm: 'RSAES_OAEP_SHA_256', wrappingKeySpec: 'RSA_2048', spkiDigest: bytes(32, 4) },
  notAfterMs: 1_800_000_000_123,
}
const sha256 = (input: Buffer) => createHash('sha256').update(input).digest('hex')

describe('import token', () => {
  it('is its version, id and MAC, and is read back', () => {
    const token = encodeImportToken({ importId: bytes(16, 3), mac: bytes(32, 5) })
    expect(token.toString('hex')).toBe(`01${'03'.repeat(16)}${'05'.repeat(32)}`)
    expect(decodeImportToken(token)).toEqual({ importId: bytes(16, 3), mac: bytes(32, 5) })
  })

  it.each([0, 1, 48, 50])('of %i bytes is none', length => {
    expect(() => decodeImportToken(Buffer.alloc(length, 1))).toThrow(MalformedBytes)
  })

  it('has a MAC over every term', () => {
    // "strongroom/import/1" 00, then the fields as security.md 2.7 has them.
    const lp = (text: string) => Buffer.concat([Buffer.from([0, text.length]), Buffer.from(text)])
    const notAfter = Buffer.alloc(8)
    notAfter.writeBigUInt64BE(1_800_000_000_123n)
    const expected = Buffer.concat([
      ...[Buffer.from('strongroom/import/1\0'), bytes(16, 1), lp('on-prem-1'), lp('000000000001'), bytes(17, 2)],
      ...[bytes(16, 3), lp('RSAES_OAEP_SHA_256'), lp('RSA_2048'), bytes(32, 4), notAfter],
    ])
    expect(importMacInput(terms)).toEqual(expected)
    const changed: Partial<ImportTerms>[] = [
      ...[{ domainId: bytes(16, 9) }, { region: 'on-prem-2' }, { account: '000000000002' }, { kid: bytes(17, 9) }],
      ...[{ importId: bytes(16, 9) }, { algorithm: 'RSAES_OAEP_SHA_1' }, { wrappingKeySpec: 'RSA_3072' }],
      ...[{ spkiDigest: bytes(32, 9) }, { notAfterMs: 1_800_000_000_124 }],
    ]
    const inputs = [terms, ...changed.map(change => ({ ...terms, ...change }))].map(each =>
      sha256(importMacInput(each)),
    )
    expect(new Set(inputs).size).toBe(changed.length + 1)
  })
})

describe('what tells imported secrets apart', () => {
  it('is labelled, so that neither is the other nor what a caller could ask for by accident', () => {
    const spec = 'SYMMETRIC_DEFAULT'
    const tail = Buffer.concat([bytes(17, 2), Buffer.from([0, spec.length]), Buffer.from(spec)])
    expect(importedMidInput(bytes(17, 2), spec)).toEqual(Buffer.concat([Buffer.from('strongroom/mid/1\0'), tail]))
    expect(importCommitmentInput(bytes(17, 2), spec)).toEqual(
      Buffer.concat([Buffer.from('strongroom/commitment/1\0'), tail]),
    )
  })
})
