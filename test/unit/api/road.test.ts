/** The two ends of a road: the order of its steps, what a failure is turned into, and that no plaintext is left behind. */
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals'
import type { Failure, Journey } from '../../../src/api/journey.ts'
import { kmsErrorOf } from '../../../src/api/protocol.ts'
import { type Pipeline, Road } from '../../../src/api/road.ts'
import { foldHeaders } from '../../../src/api/sigv4/headers.ts'
import type { IncomingRequest } from '../../../src/api/sigv4/verify.ts'
import { AuditUnavailable } from '../../../src/audit/unavailable.ts'
import { KmsError } from '../../../src/model/errors.ts'
import { StoreLocked, StoreStale } from '../../../src/store/faults.ts'

const caller = { arn: 'arn:aws:iam::000000000001:user/ada', account: '000000000001', tags: new Map() }
const SECRET = 'gold bars'

type Output = { readonly Plaintext: Buffer }
type Step = 'writable' | 'current' | 'authenticate' | 'perform' | 'audited' | 'observed'

describe('a road', () => {
  /** What the steps did for the request that is on the road, and what they have seen. */
  let steps: string[]
  let failing: Partial<Record<Step, unknown>>
  let bodies: Uint8Array[]
  let given: Buffer
  let plaintext: Buffer
  let server: Server

  const step = (name: Step, what: string = name) => {
    steps.push(what)
    if (failing[name] !== undefined) throw failing[name]
  }
  const pipeline: Pipeline<Output, KmsError> = {
    perform: async (journey, _, body) => {
      bodies.push(body)
      journey.operation = 'Decrypt'
      journey.input = { Plaintext: given }
      step('perform', `perform ${body}`)
      return { Plaintext: plaintext }
    },
    encode: ({ Plaintext }) => Plaintext.toString(),
    refusalOf: kmsErrorOf,
    encodeRefusal: ({ code, message }) => `${code}: ${message}`,
    headersOf: (requestId, lengthBytes, refusal) => [
      ...['x-amzn-RequestId', requestId, 'Content-Length', String(lengthBytes)],
      ...(refusal === undefined ? [] : ['x-amzn-ErrorType', refusal.code]),
    ],
  }
  const told = (what: string, { operation }: Journey, failure: Failure | undefined) =>
    `${what} ${operation} ${failure?.code ?? 'ok'}`

  beforeAll(async () => {
    const authenticator = {
      authenticate: async ({ body }: IncomingRequest) => {
        bodies.push(body)
        step('authenticate')
        return { caller, region: 'on-prem-1', accessKeyId: 'AKIA' } as never
      },
    }
    const record = {
      requireWritable: () => step('writable'),
      audited: async (journey: Journey, _: unknown, failure: Failure | undefined) =>
        step('audited', told('audited', journey, failure)),
      observed: (journey: Journey, failure: Failure | undefined) =>
        step('observed', told('observed', journey, failure)),
    }
    const view = { requireCurrent: () => step('current') }
    const logger = { error: (message: string) => steps.push(message) }
    const road = new Road(pipeline, { authenticator, record, tracing: undefined, view, logger })
    server = createServer((request, response) => road.travel(request, response, foldHeaders(request.rawHeaders)))
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  })

  afterAll(() => new Promise(resolve => server.close(resolve)))

  beforeEach(() => {
    steps = []
    failing = {}
    bodies = []
    given = Buffer.from(SECRET)
    plaintext = Buffer.from(SECRET)
  })

  const travel = async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/`
    const response = await fetch(url, { method: 'POST', body: SECRET, headers: { connection: 'close' } })
    return { status: response.status, type: response.headers.get('x-amzn-errortype'), text: await response.text() }
  }
  const areWiped = () => [...bodies, plaintext].every(bytes => bytes.every(byte => byte === 0))

  it('records what it did before it answers, and overwrites what it read and wrote', async () => {
    expect(await travel()).toEqual({ status: 200, type: null, text: SECRET })
    const done = [
      'writable',
      'current',
      'authenticate',
      `perform ${SECRET}`,
      'audited Decrypt ok',
      'observed Decrypt ok',
    ]
    expect(steps).toEqual(done)
    expect(bodies).toHaveLength(2)
    expect(areWiped()).toBe(true)
    expect(given).toEqual(Buffer.alloc(SECRET.length))
  })

  it('records a refusal, and overwrites the body all the same', async () => {
    failing.authenticate = new KmsError('InvalidSignatureException', 'Wrong.')
    plaintext.fill(0)
    expect(await travel()).toEqual({
      ...{ status: 400, type: 'InvalidSignatureException', text: 'InvalidSignatureException: Wrong.' },
    })
    expect(steps.slice(3)).toEqual([
      ...['audited unknown InvalidSignatureException', 'observed unknown InvalidSignatureException'],
    ])
    expect(bodies).toHaveLength(1)
    expect(areWiped()).toBe(true)
  })

  it('begins nothing while nothing can be recorded', async () => {
    failing.writable = new AuditUnavailable('the disk is full')
    failing.audited = failing.writable
    expect(await travel()).toMatchObject({ status: 503, type: 'DependencyTimeoutException' })
    expect(steps[1]).toMatch(/^audited/)
  })

  it('asks nobody who calls while it is not known what others have changed', async () => {
    failing.current = new StoreStale('the disk is gone', {})
    expect(await travel()).toEqual({
      ...{ status: 503, type: 'DependencyTimeoutException' },
      text: 'DependencyTimeoutException: The key store cannot be looked at now. Try again.',
    })
    const refused = 'unknown DependencyTimeoutException'
    expect(steps).toEqual(['writable', 'current', `audited ${refused}`, `observed ${refused}`])
    expect(areWiped()).toBe(false)
  })

  it('answers nothing of what it did when that cannot be recorded', async () => {
    failing.audited = new AuditUnavailable('the disk is full')
    const answer = await travel()
    expect(answer).toEqual({
      ...{ status: 503, type: 'DependencyTimeoutException' },
      text: 'DependencyTimeoutException: The request cannot be recorded now. Try again.',
    })
    expect(steps.slice(4)).toEqual(['audited Decrypt ok', 'observed Decrypt DependencyTimeoutException'])
    expect(areWiped()).toBe(true)
  })

  it('ends the connection of a request that it cannot answer', async () => {
    failing.perform = new KmsError('DisabledException')
    failing.observed = new TypeError('x is undefined')
    await travel().catch(() => undefined)
    expect(steps.slice(-2)).toEqual(['observed Decrypt DisabledException', 'a request ended without an answer'])
    failing = {}
    expect(await travel()).toMatchObject({ status: 200 })
  })

  it.each([
    ['a store that is locked', new StoreLocked('busy'), 503, 'DependencyTimeoutException'],
    ['a mistake of ours', new TypeError('x is undefined'), 500, 'KMSInternalException'],
  ])('answers %s without a word of its cause', async (_, thrown, status, type) => {
    failing.perform = thrown
    const answer = await travel()
    expect(answer).toMatchObject({ status, type })
    expect(answer.text).not.toContain(thrown.message)
    expect(steps.at(-1)).toBe(`observed Decrypt ${type}`)
  })
})
