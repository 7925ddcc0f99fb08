/** No member of any request is recorded, or left out, without somebody having looked at it. */
import { describe, expect, it } from '@jest/globals'
import { RECORDED_MEMBERS, recordedMembers, UNRECORDED_MEMBERS } from '../../../src/audit/members.ts'
import { lookupEventsInput } from '../../../src/cloudtrail/lookup-events.ts'
import { registry } from '../../../src/operations/registry.ts'

const inputs = [...[...registry.values()].map(({ input }) => input), lookupEventsInput]
const members = new Set(inputs.flatMap(input => Object.keys(input.shape)))

describe('the members of requests', () => {
  it('are each on one list', () => {
    expect([...members].filter(name => !RECORDED_MEMBERS.has(name) && !UNRECORDED_MEMBERS.has(name))).toEqual([])
    expect([...RECORDED_MEMBERS].filter(name => UNRECORDED_MEMBERS.has(name))).toEqual([])
  })

  it('are spelled as CloudTrail does, and hold no bytes', () => {
    const input = {
      ...{ KeyId: 'k', Plaintext: Buffer.from('secret'), Unheard: 'of', NumberOfBytes: undefined },
      ...{ EncryptionContext: new Map([['__proto__', 'x']]), Description: Buffer.from('secret') },
      Tags: [{ TagKey: 'a', TagValue: 'b' }],
    }
    expect(recordedMembers(input, RECORDED_MEMBERS)).toBe(
      '{"keyId":"k","encryptionContext":{"__proto__":"x"},"description":"(bytes)","tags":[{"tagKey":"a","tagValue":"b"}]}',
    )
    expect(recordedMembers({ Plaintext: 'x' }, RECORDED_MEMBERS)).toBe('null')
  })
})
