import { describe, expect, it } from '@jest/globals'
import { chooseLane } from '../../../../src/hsm/pool/choice.ts'
import { Errand } from '../../../../src/hsm/pool/errand.ts'
import type { Lane } from '../../../../src/hsm/pool/lane.ts'
import type { Member } from '../../../../src/hsm/pool/member.ts'

const TOKEN_MS = 0.1

function laneWith(inFlight: number): Lane {
  return { inFlight, expectedMs: (inFlight + 1) * TOKEN_MS, takes: () => true, holds: () => false } as unknown as Lane
}

function memberOf(label: string, ...lanes: readonly Lane[]): Member {
  const circuit = { serving: true, takesTrials: false }
  return { label, state: 'healthy', circuit, lanes, mayServe: () => true } as unknown as Member
}

function errandAfter(deaths: number): Errand {
  return Object.assign(new Errand('generateRandom', { lengthBytes: 8 }), { deaths })
}

describe('the lane of a command', () => {
  const [idle, busy] = [laneWith(0), laneWith(3)]

  it.each<[string, readonly Member[]]>([
    ['of two tokens', [memberOf('one', idle), memberOf('other', busy)]],
    ['of one token', [memberOf('one', idle, busy)]],
  ])('is the one that is at work already, %s, and a free one where it may have ended a host', (_, members) => {
    for (const turn of [0, 1]) {
      expect(chooseLane(members, errandAfter(0), turn)).toBe(busy)
      expect(chooseLane(members, errandAfter(1), turn)).toBe(idle)
    }
  })
})
