import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from '@jest/globals'
import { FrameSplitter } from '../../../../src/hsm/contract/frames.ts'
import { spawnHost } from '../../../../src/hsm/pool/host-process.ts'

const TOILING_HOST = fileURLToPath(new URL('../../../support/toiling-host.ts', import.meta.url))

const { child, channel } = spawnHost(TOILING_HOST, () => {})
const splitter = new FrameSplitter()
const answers: number[] = []
let arrived = () => {}
channel.on('data', (chunk: Buffer) => {
  splitter.push(chunk, frame => answers.push(frame.readUInt32BE()))
  arrived()
})

/** A command that takes so long. */
const toil = (milliseconds: number) => Buffer.from([0, 0, 0, 1, milliseconds])

/** The writes that the next so many answers left with. */
async function take(count: number): Promise<number[]> {
  while (answers.length < count) {
    await new Promise<void>(resolve => {
      arrived = resolve
    })
  }
  return answers.splice(0, count)
}

/** A machine that lets the host wait has it answer at once, so one success of many is asked for. */
async function atLeastOnce(succeeds: () => Promise<boolean>): Promise<void> {
  for (let tries = 0; tries < 100; tries += 1) if (await succeeds()) return
  throw new Error('never')
}

afterAll(() => {
  child.kill('SIGKILL')
})

describe('a host keeps answers back', () => {
  it('for nothing that is not there', async () => {
    channel.write(toil(0))
    const [alone] = await take(1)
    const whole = toil(0)
    channel.write(Buffer.concat([toil(0), whole.subarray(0, 2)]))
    expect(await take(1)).toEqual([(alone ?? 0) + 1])
    channel.write(whole.subarray(2))
    expect(await take(1)).toEqual([(alone ?? 0) + 2])
  })

  it('while others are behind them that came with them', () =>
    atLeastOnce(async () => {
      channel.write(Buffer.concat([toil(2), toil(2), toil(2)]))
      const [first, second] = await take(3)
      return first === second
    }))

  it('while others are behind them that came later', () =>
    atLeastOnce(async () => {
      channel.write(toil(10))
      await new Promise(resolve => setTimeout(resolve, 3))
      channel.write(Buffer.concat([toil(1), toil(1), toil(1)]))
      const [first, second] = await take(4)
      return first === second
    }))

  it('but not more than sixteen, and not for long', async () => {
    channel.write(Buffer.concat(Array.from({ length: 100 }, () => toil(0))))
    const sizes = Object.values(Object.groupBy(await take(100), write => write)).map(group => group?.length ?? 0)
    expect(Math.max(...sizes)).toBeLessThanOrEqual(16)
    channel.write(Buffer.concat(Array.from({ length: 8 }, () => toil(20))))
    expect(new Set(await take(8)).size).toBe(8)
  })
})
