import { describe, expect, it } from '@jest/globals'
import { Progress } from '../../../src/cli/progress.ts'

function record(isTTY: boolean) {
  const written: string[] = []
  let nowMs = 0
  const stream = { isTTY, write: (text: string) => void written.push(text) }
  const progress = new Progress('records', stream, () => nowMs)
  const at = (ms: number, done: number, total: number) => {
    nowMs = ms
    progress.update({ done, total })
  }
  return { written, progress, at }
}

describe('progress', () => {
  it('draws a bar with an estimate on a terminal, and leaves it on a line of its own', () => {
    const { written, progress, at } = record(true)
    at(0, 0, 1_000)
    at(1_000, 100, 1_000)
    progress.end()
    progress.end()
    expect(written).toEqual([
      `\r[${'.'.repeat(30)}] 0 of 1000 records\u001b[K`,
      `\r[###${'.'.repeat(27)}] 100 of 1000 records, 100 a second, about 9 s left\u001b[K`,
      '\n',
    ])
  })

  it('estimates anew when a second part begins', () => {
    const { written, at } = record(true)
    at(0, 0, 1_000)
    at(1_000, 1_000, 1_000)
    at(2_000, 10, 500)
    at(3_000, 110, 500)
    expect(written.at(-1)).toContain('110 of 500 records, 100 a second, about 4 s left')
  })

  it('writes a line now and then elsewhere, the last one always', () => {
    const { written, progress, at } = record(false)
    at(0, 500, 60_000)
    at(1_000, 600, 60_000)
    at(6_000, 1_100, 60_000)
    at(6_100, 60_000, 60_000)
    progress.end()
    expect(written).toEqual([
      '500 of 60000 records\n',
      '1100 of 60000 records, 100 a second, about 10 min left\n',
      '60000 of 60000 records\n',
    ])
  })
})
