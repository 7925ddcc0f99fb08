/** Questions and answers between two processes, here two ends in one. */
import { EventEmitter } from 'node:events'
import { describe, expect, it } from '@jest/globals'
import { Channel, ChannelFailed, type Port } from '../../../src/processes/channel.ts'

type Sums = { readonly add: { readonly ask: readonly number[]; readonly answer: number } }

interface End extends Port {
  broken: boolean
}

function makePair(): [End, End] {
  const events = [new EventEmitter(), new EventEmitter()] as const
  const end = (own: EventEmitter, other: EventEmitter): End => ({
    broken: false,
    on: (event, listener) => own.on(event, listener),
    send(message, callback) {
      if (this.broken) callback(new Error('broken pipe'))
      else queueMicrotask(() => other.emit('message', structuredClone(message)))
      return true
    },
  })
  return [end(events[0], events[1]), end(events[1], events[0])]
}

const add = (numbers: readonly number[]) => {
  if (numbers.length === 0) throw new Error('nothing to add')
  return numbers.reduce((sum, number) => sum + number, 0)
}

describe('a channel', () => {
  it('answers each question, of both sides', async () => {
    const [a, b] = makePair()
    const one = new Channel<Sums, Sums>(a, { add })
    const other = new Channel<Sums, Sums>(b, { add })
    expect(await Promise.all([one.ask('add', [1, 2]), other.ask('add', [3]), one.ask('add', [4, 5])])).toEqual([
      3, 3, 9,
    ])
  })

  it('says why a question could not be answered', async () => {
    const [a, b] = makePair()
    const one = new Channel<Sums, Sums>(a, { add })
    new Channel<Sums, Sums>(b, { add })
    await expect(one.ask('add', [])).rejects.toThrow(new ChannelFailed('nothing to add'))
  })

  it('leaves nobody waiting when the other side is gone', async () => {
    const [a, b] = makePair()
    const one = new Channel<Sums, Sums>(a, { add })
    new Channel<Sums, Sums>(b, { add: () => new Promise(() => {}) })
    const asked = one.ask('add', [1])
    one.close('it ended')
    await expect(asked).rejects.toThrow('it ended')
    await expect(one.ask('add', [1])).rejects.toThrow('it ended')
  })

  it('is closed by a message that cannot be sent', async () => {
    const [a] = makePair()
    a.broken = true
    await expect(new Channel<Sums, Sums>(a, { add }).ask('add', [1])).rejects.toThrow('broken pipe')
  })
})
