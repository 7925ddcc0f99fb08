/** How much of the log one lookup reads, and that pages show each event once wherever reading stops. */
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { whileConnected } from '../../../src/api/cloudtrail/pipeline.ts'
import { type LookupEventsInput, lookupEvents } from '../../../src/cloudtrail/lookup-events.ts'
import { LookupTurns } from '../../../src/cloudtrail/turns.ts'
import type { AuditBlock, AuditBlockPlace } from '../../../src/store/stored-audit.ts'
import { eventLine } from '../../support/audit-log.ts'

const SCOPE = { account: '000000000001', region: 'on-prem-1' }
const START_MS = Date.parse('2026-11-22T06:00:00Z')
const OPEN = new AbortController().signal

type Stored = AuditBlock & AuditBlockPlace

interface Facts {
  readonly account?: string
  readonly userName?: string
  readonly readOnly?: boolean
}

/** A block of a chain with events of these seconds, whose ids are chain and number. */
function makeBlock(
  chain: string,
  number: number,
  firstSeq: number,
  seconds: readonly number[],
  facts: Facts = {},
): Stored {
  const { account = SCOPE.account, userName = 'somebody', readOnly = true } = facts
  const lines = seconds.map((second, index) => {
    const event = JSON.stringify({
      ...{ userIdentity: { type: 'IAMUser', userName }, eventTime: `${at(second).slice(0, 19)}Z` },
      ...{ eventSource: 'kms.amazonaws.com', eventName: 'Decrypt', awsRegion: SCOPE.region },
      ...{ eventID: `${chain.slice(0, 1)}${firstSeq + index}`, readOnly, resources: [], recipientAccountId: account },
    })
    return eventLine(firstSeq + index, '0'.repeat(64), event)
  })
  return {
    ...{ chain: chain.repeat(32).slice(0, 32), number, firstSeq, lastSeq: firstSeq + seconds.length - 1 },
    ...{ firstAtMs: Date.parse(at(seconds[0]!)), lastAtMs: Date.parse(at(seconds.at(-1)!)) },
    lines: Buffer.from(lines.join('')),
  }
}

function at(second: number): string {
  return new Date(START_MS + second * 1_000).toISOString()
}

const order = (one: AuditBlockPlace, other: AuditBlockPlace) =>
  one.lastAtMs - other.lastAtMs ||
  (one.chain < other.chain ? -1 : one.chain > other.chain ? 1 : one.number - other.number)

/** A log of these blocks, which counts those that were read. */
function makeLog(blocks: readonly Stored[], limits?: { blocks: number; bytes: number }) {
  const newestFirst = blocks.toSorted(order).reverse()
  const log = {
    read: 0,
    settled: 0,
    async settle() {
      log.settled += 1
    },
    stored: {
      async *blocksBackwards(_: object, behind?: AuditBlockPlace) {
        for (const block of newestFirst) {
          if (behind !== undefined && order(block, behind) >= 0) continue
          log.read += 1
          yield block
        }
      },
    },
    ...(limits === undefined ? {} : { limits }),
  }
  return log
}

type Log = ReturnType<typeof makeLog>
interface Page {
  readonly Events: readonly { readonly EventId: string }[]
  readonly NextToken?: string
}

const lookUp = (log: Log, input: LookupEventsInput = {}, signal = OPEN) =>
  lookupEvents(log, SCOPE, input, signal) as unknown as Promise<Page>

/** All pages of a lookup; as SDKs do, it goes on while there is a token, and not with one that came twice. */
async function pagesOf(log: Log, input: LookupEventsInput = {}): Promise<string[][]> {
  const pages: string[][] = []
  const tokens = new Set<string>()
  for (let NextToken: string | undefined; ; ) {
    const page = await lookUp(log, { ...input, ...(NextToken === undefined ? {} : { NextToken }) })
    pages.push(page.Events.map(({ EventId }) => EventId))
    NextToken = page.NextToken
    if (NextToken === undefined) return pages
    expect(tokens.has(NextToken)).toBe(false)
    tokens.add(NextToken)
  }
}

const by = (AttributeKey: 'Username' | 'ReadOnly', AttributeValue: string) => ({
  LookupAttributes: [{ AttributeKey, AttributeValue }],
})

describe('a lookup that finds little', () => {
  const wanted = makeBlock('a', 1, 1, [0], { userName: 'wanted', readOnly: false })
  const many = Array.from({ length: 2_500 }, (_, index) => makeBlock('a', index + 2, index + 2, [index + 1]))

  it.each([by('Username', 'wanted'), by('ReadOnly', 'false')])('reads so many blocks and no more: %j', async input => {
    const log = makeLog([wanted, ...many])
    const first = await lookUp(log, input)
    expect(first).toMatchObject({ Events: [], NextToken: expect.any(String) })
    expect(log.read).toBe(1_024)
    // None is read twice.
    log.read = 0
    expect(await pagesOf(log, input)).toEqual([[], [], ['a1']])
    expect(log.read).toBe(2_501)
    expect(log.settled).toBe(2)
  })

  it('reads so many bytes and no more', async () => {
    const lines = Buffer.concat(Array(1_000).fill(many[0]!.lines))
    const log = makeLog(many.map(block => ({ ...block, lines })))
    expect(await lookUp(log, by('Username', 'nobody'))).toMatchObject({ Events: [], NextToken: expect.any(String) })
    expect(log.read).toBe(Math.ceil((32 * 1_048_576) / lines.length))
  })

  it('reads no JSON where account, user or kind of event do not stand', async () => {
    const parse = JSON.parse
    let parsed = 0
    JSON.parse = (...args: Parameters<typeof parse>) => {
      parsed += 1
      return parse(...args)
    }
    try {
      const foreign = Array.from({ length: 9 }, (_, index) =>
        makeBlock('b', index, index + 1, [index], { account: '000000000002' }),
      )
      for (const [blocks, input] of [
        [many, by('Username', 'nobody')],
        [many, by('ReadOnly', 'false')],
        [foreign, {}],
      ] as const)
        await lookUp(makeLog(blocks), input)
    } finally {
      JSON.parse = parse
    }
    expect(parsed).toBe(0)
  })

  it('lets the event loop turn inside a block', async () => {
    const lines = Buffer.concat(Array(5_000).fill(wanted.lines))
    let turns = 0
    const counting = () => {
      turns += 1
      next = setImmediate(counting)
    }
    let next = setImmediate(counting)
    await lookUp(makeLog([{ ...wanted, lines }]), by('Username', 'wante'))
    clearImmediate(next)
    expect(turns).toBeGreaterThan(lines.length / 100_000)
  })

  it('stops when nobody waits for it', async () => {
    const log = makeLog(many)
    const gone = new AbortController()
    const { blocksBackwards } = log.stored
    log.stored.blocksBackwards = async function* (...args) {
      for await (const block of blocksBackwards(...args)) {
        if (log.read === 7) gone.abort()
        yield block
      }
    }
    await lookUp(log, by('Username', 'nobody'), gone.signal)
    expect(log.read).toBe(7)
  })
})

describe('pages', () => {
  // Three chains, whose blocks overlap, with one that is as long as all others.
  const blocks = [
    ...Array.from({ length: 12 }, (_, index) =>
      makeBlock(
        'a',
        index + 1,
        index * 4 + 1,
        [0, 0, 1, 2].map(s => s + index),
      ),
    ),
    ...Array.from({ length: 9 }, (_, index) =>
      makeBlock(
        'b',
        index + 1,
        index * 3 + 1,
        [0, 1, 3].map(s => s + index * 2),
      ),
    ),
    makeBlock('c', 1, 1, [0, 3, 3, 9, 14]),
    makeBlock('c', 2, 6, [14, 14]),
  ]
  const all = blocks.flatMap(({ lines }) => [...lines.toString().matchAll(/"eventID":"(\w+)"/g)].map(([, id]) => id))
  const secondOf = new Map(
    blocks.flatMap(({ lines }) =>
      [...lines.toString().matchAll(/"eventTime":"([^"]+)".*?"eventID":"(\w+)"/g)].map(
        ([, time, id]) => [id, time] as const,
      ),
    ),
  )

  it.each([1, 2, 3, 7, 50].flatMap(size => [1, 2, 3, 5, 1_000].map(count => ({ size, count }))))(
    'of $size show each event once when $count blocks are read for each',
    async ({ size, count }) => {
      const pages = await pagesOf(makeLog(blocks, { blocks: count, bytes: 1_000_000 }), { MaxResults: size })
      expect(pages.flat().toSorted()).toEqual(all.toSorted())
      for (const page of pages) {
        expect(page.length).toBeLessThanOrEqual(size)
        const times = page.map(id => secondOf.get(id))
        expect(times).toEqual(times.toSorted().reverse())
      }
    },
  )

  it('follow each other by time where reading stops nowhere', async () => {
    const whole = (await pagesOf(makeLog(blocks))).flat()
    expect((await pagesOf(makeLog(blocks), { MaxResults: 4 })).flat()).toEqual(whole)
  })

  it('end at no token of another lookup, and none that was changed', async () => {
    const log = makeLog(blocks, { blocks: 3, bytes: 1_000_000 })
    const { NextToken = '' } = await lookUp(log, { MaxResults: 2 })
    const refused = { code: 'InvalidNextTokenException' }
    await expect(lookUp(log, { NextToken, ...by('Username', 'x') })).rejects.toMatchObject(refused)
    await expect(lookUp(log, { NextToken: `${NextToken}!` })).rejects.toMatchObject(refused)
    const bent = Buffer.from(NextToken, 'base64url').toString().replace('.', '.9999999999999999')
    await expect(lookUp(log, { NextToken: Buffer.from(bent).toString('base64url') })).rejects.toMatchObject(refused)
  })
})

describe('lookups of an account', () => {
  it('run one at a time, those of another beside them, and are refused when too many wait', async () => {
    const turns = new LookupTurns()
    const begun: number[] = []
    const first = Promise.withResolvers<void>()
    const own = Array.from({ length: 12 }, (_, index) =>
      turns.take(SCOPE.account, async () => {
        begun.push(index)
        await first.promise
        if (index === 1) throw new Error('failed')
        return index
      }),
    )
    const settled = Promise.allSettled(own)
    expect(await turns.take('000000000002', async () => 'at once')).toBe('at once')
    expect(begun).toEqual([0])
    first.resolve()
    const outcomes = await settled
    expect(begun).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8])
    expect(
      outcomes.filter(({ status }) => status === 'rejected').map(each => (each as PromiseRejectedResult).reason),
    ).toEqual([
      expect.objectContaining({ message: 'failed' }),
      ...Array(3).fill(expect.objectContaining({ code: 'ThrottlingException' })),
    ])
    expect(await turns.take(SCOPE.account, async () => 'again')).toBe('again')
  })
})

describe('whoever has left', () => {
  const server = createServer()
  let accepted: Promise<Socket>
  let client: Socket

  beforeAll(async () => {
    accepted = once(server, 'connection').then(([socket]) => socket as Socket)
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    client = connect(server.address() as { port: number })
  })

  afterAll(() => {
    client.destroy()
    server.close()
  })

  it('is told of to the work, which leaves nothing on the connection', async () => {
    const socket = await accepted
    const before = socket.listenerCount('close')
    expect(await whileConnected(socket, async signal => signal.aborted)).toBe(false)
    expect(socket.listenerCount('close')).toBe(before)
    const reason = whileConnected(socket, async signal => (await once(signal, 'abort')) && 'left')
    client.destroy()
    expect(await reason).toBe('left')
    expect(await whileConnected(socket, async signal => signal.aborted)).toBe(true)
  })
})
