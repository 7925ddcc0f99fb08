/** Refusals of those who have proved nothing: bounded by source and in all, and counted beyond it. */
import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, it, jest } from '@jest/globals'
import type { CallFacts } from '../../../src/audit/events.ts'
import { PendingEvents } from '../../../src/audit/pending.ts'
import { AuditRecorder } from '../../../src/audit/recorder.ts'
import { UnprovenRefusals } from '../../../src/audit/refusals.ts'
import { startLog } from '../../support/audit-log.ts'
import { makeFolder } from '../../support/tokens.ts'

const AT = Date.UTC(2026, 10, 22)
const SECOND = 1_000

let nowMs: number
let counted: number
let refusals: UnprovenRefusals

beforeEach(() => {
  nowMs = 0
  counted = 0
  const onCounted = () => {
    counted += 1
  }
  refusals = new UnprovenRefusals({ rates: { perSourcePerSecond: 3, perSecond: 7 }, onCounted, nowMs: () => nowMs })
})

function refused(sourceIp: string | undefined, code = 'IncompleteSignature', account?: string): boolean {
  const error = { code, message: '', detail: undefined }
  return refusals.leavesOut({ sourceIp, account, error } as CallFacts, AT + nowMs)
}

const times = (count: number, work: () => boolean) =>
  Array.from({ length: count }, work).filter(leftOut => !leftOut).length

describe('the summary', () => {
  it('is an event of the log, and is told again when it could not be written', async () => {
    const folder = makeFolder()
    const { log, files, stop } = await startLog({ folder: folder.path })
    const parts = { log, pending: new PendingEvents(), clock: () => AT }
    const recorder = new AuditRecorder({ ...parts, refusals })
    times(20, () => refused('10.0.0.1'))
    jest.spyOn(files, 'append').mockRejectedValueOnce(new Error('ENOSPC'))
    await expect(recorder.noteRefusals({}, { now: true })).rejects.toThrow('ENOSPC')
    await log.tend()
    await recorder.noteRefusals({}, { now: true })
    const { seq } = log.head
    await recorder.noteRefusals({}, { now: true })
    expect(log.head.seq).toBe(seq)
    const lines = readFileSync(log.path!, 'utf8')
    expect(lines).toContain('"eventName":"UnauthenticatedRequestsRefused"')
    expect(lines).toContain('"sources":[{"source":"10.0.0.1","refused":17,')
    await stop()
    folder.remove()
  })
})

describe('refusals of unproven callers', () => {
  it('leave so many events of one source, and as many again a second later', () => {
    expect(times(10, () => refused('10.0.0.1'))).toBe(3)
    expect(times(10, () => refused('10.0.0.2'))).toBe(3)
    nowMs += SECOND
    expect(times(10, () => refused('10.0.0.1'))).toBe(3)
    expect(counted).toBe(21)
  })

  it('leave so many events in all, however many sources there are', () => {
    let host = 0
    expect(times(1_000, () => refused(`10.0.${++host >> 8}.${host & 255}`))).toBe(7)
  })

  it('come from one source where an IPv6 network is one', () => {
    let host = 0
    expect(times(10, () => refused(`2001:db8:0:1::${(++host).toString(16)}`))).toBe(3)
    expect(times(10, () => refused('2001:0:0:1:2::'))).toBe(3)
    nowMs += SECOND
    expect(times(10, () => refused('2001:db8:0:2::1'))).toBe(3)
    const sources = refusals.take(AT, { now: true })?.sources.map(({ source }) => source)
    expect(sources).toEqual(['2001:db8:0:1::/64', '2001:0:0:1::/64', '2001:db8:0:2::/64'])
  })

  it('are told in one summary, with sources, codes and times', () => {
    times(5, () => refused('10.0.0.1'))
    nowMs += 500
    refused('10.0.0.1', 'InvalidClientTokenId')
    times(4, () => refused(undefined))
    expect(refusals.take(AT + nowMs)).toBeUndefined()
    nowMs += 10 * SECOND
    expect(refusals.take(AT + nowMs)).toEqual({
      ...{ refused: 3, first: '2026-11-22T00:00:00.000Z', last: '2026-11-22T00:00:00.500Z' },
      errorCodes: { IncompleteSignature: 3 },
      sources: [
        {
          ...{ source: '10.0.0.1', refused: 2, errorCodes: { IncompleteSignature: 2 } },
          ...{ first: '2026-11-22T00:00:00.000Z', last: '2026-11-22T00:00:00.000Z' },
        },
        {
          ...{ source: 'unknown', refused: 1, errorCodes: { IncompleteSignature: 1 } },
          ...{ first: '2026-11-22T00:00:00.500Z', last: '2026-11-22T00:00:00.500Z' },
        },
      ],
      otherSources: null,
    })
    expect(refusals.take(AT + nowMs, { now: true })).toBeUndefined()
  })

  it('name a hundred sources, and count the others together', () => {
    for (let host = 0; host < 250; host += 1) times(4, () => refused(`10.0.0.${host}`))
    const { sources, otherSources, refused: all } = refusals.take(AT, { now: true })!
    expect(sources).toHaveLength(100)
    expect(all).toBe(993)
    expect(sources.reduce((sum, { refused }) => sum + refused, otherSources?.refused ?? 0)).toBe(993)
  })

  it('of proven callers, and what is not refused, are not counted', () => {
    expect(times(20, () => refused('10.0.0.1', 'AccessDeniedException', '000000000001'))).toBe(20)
    expect(times(20, () => refusals.leavesOut({ sourceIp: '10.0.0.1', error: undefined } as CallFacts, AT))).toBe(20)
    expect(counted).toBe(0)
  })
})
