/** The road of a request to CloudTrail, which shares the endpoint with KMS and has one operation: LookupEvents. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'
import { AuditUnavailable } from '../../audit/unavailable.ts'
import { parseInput } from '../../base/schema.ts'
import { CloudTrailError } from '../../cloudtrail/errors.ts'
import { type Lookup, lookupEvents, lookupEventsInput } from '../../cloudtrail/lookup-events.ts'
import { errorKind, KmsError } from '../../model/errors.ts'
import type { Access } from '../../operations/access.ts'
import type { RequestSpan, Tracing } from '../../telemetry/tracing.ts'
import type { Authenticator } from '../authenticate.ts'
import { readBody } from '../body.ts'
import { CONTENT_TYPE, encodeError, encodeOutput, parseBody } from '../protocol.ts'
import { type Failure, type Journey, originOf, type RequestRecord, setOut, traceparentOf } from '../record.ts'
import type { Throttling } from '../throttle.ts'

const TARGET_PREFIX = 'com.amazonaws.cloudtrail.v20131101.CloudTrail_20131101.'
const OPERATION = 'LookupEvents'
const BAD_REQUEST = 400

/** Whether a request is one of CloudTrail, served or not. */
export function isCloudTrail(headers: IncomingHttpHeaders): boolean {
  const target = headers['x-amz-target']
  return typeof target === 'string' && target.startsWith(TARGET_PREFIX)
}

export interface CloudTrailRoadParts {
  readonly authenticator: Authenticator
  readonly throttle: Throttling
  readonly access: Access
  readonly lookup: Lookup
  readonly record: RequestRecord
  /** Absent when nobody wants traces. */
  readonly tracing?: Tracing | undefined
}

export class CloudTrailRoad {
  readonly #parts: CloudTrailRoadParts

  constructor(parts: CloudTrailRoadParts) {
    this.#parts = parts
  }

  /** Takes one request from its first byte to its answer. Never rejects. */
  travel(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { tracing } = this.#parts
    if (tracing === undefined) return this.#travel(request, response)
    return tracing.request(traceparentOf(request), span => this.#travel(request, response, span))
  }

  async #travel(request: IncomingMessage, response: ServerResponse, span?: RequestSpan): Promise<void> {
    const { record } = this.#parts
    const journey = setOut(span)
    let recorded: Promise<void> | undefined
    try {
      const output = await this.#perform(request, journey)
      recorded = record.audited(request, journey, undefined, undefined)
      await recorded
      send(response, journey, 200, encodeOutput(output))
      record.observed(request, journey, undefined)
    } catch (thrown) {
      let error = errorOf(thrown)
      try {
        if (recorded === undefined) await record.audited(request, journey, undefined, failureOf(error))
      } catch (unrecorded) {
        error = errorOf(unrecorded)
      }
      const failure = failureOf(error)
      const { code, message } = failure
      if (!request.complete) response.shouldKeepAlive = false
      const body =
        error instanceof KmsError ? encodeError(error).body : JSON.stringify({ __type: code, Message: message })
      send(response, journey, failure.status, body, code)
      record.observed(request, journey, failure)
    }
  }

  async #perform(request: IncomingMessage, journey: Journey): Promise<Readonly<Record<string, unknown>>> {
    const { authenticator, throttle, access, lookup, record } = this.#parts
    const body = await readBody(request)
    record.requireWritable()
    const { method = '', url = '', rawHeaders, headers } = request
    journey.authenticated = await authenticator.authenticate({ method, url, rawHeaders, body })
    if (headers['x-amz-target'] !== TARGET_PREFIX + OPERATION)
      throw new CloudTrailError('UnsupportedOperationException')
    journey.operation = OPERATION
    const counted = throttle.count(journey.authenticated.caller, journey.authenticated.region, 'lookupEvents')
    if (counted !== undefined) await counted
    journey.origin = originOf(request)
    const parsed = parseInput(lookupEventsInput, parseBody(body))
    if (parsed.fault !== undefined) {
      throw new KmsError(parsed.fault === 'type' ? 'SerializationException' : 'ValidationException', parsed.message)
    }
    journey.input = parsed.value
    const { caller, region } = journey.authenticated
    const asker = { ...journey.authenticated, origin: journey.origin, trail: journey.trail }
    access.account(asker, 'cloudtrail:LookupEvents')
    return lookupEvents(lookup, { account: caller.account, region }, parsed.value)
  }
}

function send(response: ServerResponse, { requestId }: Journey, status: number, body: string, error?: string): void {
  const length = String(Buffer.byteLength(body))
  const headers = ['Content-Type', CONTENT_TYPE, 'x-amzn-RequestId', requestId, 'Content-Length', length]
  response.writeHead(status, error === undefined ? headers : [...headers, 'x-amzn-ErrorType', error]).end(body)
}

function failureOf(error: KmsError | CloudTrailError): Failure {
  const { code, message, cause } = error
  if (error instanceof KmsError)
    return { code, message, cause, status: errorKind(error.code).status, detail: error.detail }
  return { code, message, cause, status: BAD_REQUEST, detail: undefined }
}

function errorOf(error: unknown): KmsError | CloudTrailError {
  if (error instanceof KmsError || error instanceof CloudTrailError) return error
  if (error instanceof AuditUnavailable) {
    const options = { cause: error, detail: error.message }
    return new KmsError('DependencyTimeoutException', 'The request cannot be recorded now. Try again.', options)
  }
  return new KmsError('KMSInternalException', 'The request failed because of an internal error.', { cause: error })
}
