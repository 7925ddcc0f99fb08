import { expect, test } from '@jest/globals'
import { pace } from '../../../scripts/bench/pace.ts'

const SUCCESS = Buffer.from('HTTP/1.1 200 OK\r\n\r\n')
const FAILURE = Buffer.from('HTTP/1.1 500 Internal Server Error\r\n\r\n')
const STALL_MS = 400

/** Answers every request at once, but for the first. */
function connection(first: Buffer, firstAfterMs: number) {
  let onAnswer = (_: Buffer) => {}
  let sent = 0
  return {
    listen(listener: (answer: Buffer) => void) {
      onAnswer = listener
    },
    send() {
      sent += 1
      const own = onAnswer
      if (sent === 1) setTimeout(() => own(first), firstAfterMs)
      else setImmediate(() => own(SUCCESS))
    },
  }
}

const request = () => Buffer.from('POST / HTTP/1.1\r\n\r\n')

test('a stall is charged for every request that was due meanwhile', async () => {
  const seen = await pace([connection(SUCCESS, STALL_MS)], request, { perSecond: 100, seconds: 0.3 })
  expect(seen.operations).toBe(30)
  expect(seen.maxUs).toBeGreaterThanOrEqual(STALL_MS * 1_000 - 2_000)
  // All 30 were due within 300 ms, and none could be sent for 400: a closed loop would have seen one slow answer.
  expect(seen.p50Us).toBeGreaterThan(100_000)
})

test('what is no success ends the run', async () => {
  await expect(pace([connection(FAILURE, 0)], request, { perSecond: 100, seconds: 0.1 })).rejects.toThrow(
    'not a success',
  )
})
