/**
 * What a request to CloudTrail goes through between the two ends of its road (api/road.ts). It speaks AWS JSON as KMS does,
 * and has one operation: LookupEvents.
 */
import type { Socket } from 'node:net'
import { CloudTrailError } from '../../cloudtrail/errors.ts'
import { type Lookup, lookupEvents, lookupEventsInput } from '../../cloudtrail/lookup-events.ts'
import { LookupTurns } from '../../cloudtrail/turns.ts'
import { KmsError } from '../../model/errors.ts'
import type { Access } from '../../operations/access.ts'
import type { Authenticated } from '../authenticate.ts'
import type { Journey } from '../journey.ts'
import { encodeError, encodeOutput, kmsErrorOf, readInput, responseHeaders } from '../protocol.ts'
import type { Pipeline } from '../road.ts'
import type { HeaderFields } from '../sigv4/headers.ts'
import type { Throttling } from '../throttle.ts'

const TARGET_PREFIX = 'com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.'
const OPERATION = 'LookupEvents'

/** Whether a request is one of CloudTrail, served or not. */
export function isCloudTrail(headers: HeaderFields): boolean {
  return headers['x-amz-target']?.startsWith(TARGET_PREFIX) === true
}

type Output = Readonly<Record<string, unknown>>
type Refusal = KmsError | CloudTrailError

export interface CloudTrailPipelineParts {
  readonly throttle: Throttling
  readonly access: Access
  readonly lookup: Lookup
}

export class CloudTrailPipeline implements Pipeline<Output, Refusal> {
  readonly #parts: CloudTrailPipelineParts
  readonly #turns = new LookupTurns()

  constructor(parts: CloudTrailPipelineParts) {
    this.#parts = parts
  }

  async perform(journey: Journey, authenticated: Authenticated, body: Buffer): Promise<Output> {
    const { throttle, access, lookup } = this.#parts
    const { headers, origin, trail } = journey
    if (headers['x-amz-target'] !== TARGET_PREFIX + OPERATION) {
      throw new CloudTrailError('UnsupportedOperationException')
    }
    journey.operation = OPERATION
    const { caller, region } = authenticated
    const counted = throttle.count(caller, region, 'lookupEvents')
    if (counted !== undefined) await counted
    const input = readInput(lookupEventsInput, body)
    journey.input = input
    access.account({ ...authenticated, origin, trail }, 'cloudtrail:LookupEvents')
    const { account } = caller
    return whileConnected(journey.request.socket, signal =>
      this.#turns.take(account, () => lookupEvents(lookup, { account, region }, input, signal)),
    )
  }

  encode(output: Output): string {
    return encodeOutput(output)
  }

  refusalOf(thrown: unknown): Refusal {
    return thrown instanceof CloudTrailError ? thrown : kmsErrorOf(thrown)
  }

  encodeRefusal(refusal: Refusal): string {
    if (refusal instanceof KmsError) return encodeError(refusal)
    return JSON.stringify({ __type: refusal.code, Message: refusal.message })
  }

  headersOf(requestId: string, lengthBytes: number, refusal?: Refusal): string[] {
    return responseHeaders(requestId, lengthBytes, refusal?.code)
  }
}

/** Runs what nobody waits for any more once the connection is closed. */
export async function whileConnected<T>(socket: Socket, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const closed = new AbortController()
  const abort = () => closed.abort()
  if (socket.destroyed) abort()
  socket.once('close', abort)
  try {
    return await work(closed.signal)
  } finally {
    socket.off('close', abort)
  }
}
