/** The mechanism of a command, for the label of its metrics. */
import { describe, expect, it } from '@jest/globals'
import { COMMAND_NAMES } from '../../../../src/hsm/contract/commands.ts'
import { computationOf } from '../../../../src/hsm/pool/computation.ts'

const CHOICES = {
  ...{ keySpec: 'ECC_NIST_P256', pairSpec: 'RSA_2048', algorithm: 'ECDSA_SHA_256' },
  ...{ sourceAlgorithm: 'SYMMETRIC_DEFAULT', destinationAlgorithm: 'RSAES_OAEP_SHA_256' },
}
const of = (name: (typeof COMMAND_NAMES)[number], args = CHOICES) => computationOf(name, args as never)

describe('the mechanism of a command', () => {
  it('is known for every command', () => {
    for (const name of COMMAND_NAMES)
      expect({ name, mechanism: of(name) }).toEqual({ name, mechanism: expect.any(String) })
  })

  it('is what the request chose, where it does', () => {
    expect([of('sign'), of('createBackingKey'), of('generateDataKeyPair')]).toEqual([
      'ECDSA_SHA_256',
      'ECC_NIST_P256',
      'RSA_2048',
    ])
    expect(of('generateDataKey')).toBe('AES-256-GCM')
    expect(of('reEncryptRsa')).toBe('RSAES_OAEP_SHA_256')
    expect(of('reEncryptRsa', { ...CHOICES, sourceAlgorithm: 'RSAES_OAEP_SHA_1' })).toBe('RSAES_OAEP_SHA_1')
  })
})
