/**
 * The road of a request to STS, which shares the endpoint with KMS: body, authentication, action, input, and one end where
 * it is answered, counted and logged. GetCallerIdentity and AssumeRole decide for themselves who may call them.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { AuditUnavailable } from '../../audit/unavailable.ts'
import { type Infer, parseInput, type Structure } from '../../base/schema.ts'
import { type ErrorCode, KmsError } from '../../model/errors.ts'
import type { StsOutput, StsServices } from '../../sts/action.ts'
import { ACTIONS } from '../../sts/actions.ts'
import { StsError, type StsErrorCode } from '../../sts/errors.ts'
import type { RequestSpan, Tracing } from '../../telemetry/tracing.ts'
import type { Authenticator } from '../authenticate.ts'
import { readBody } from '../body.ts'
import { type Failure, type Journey, originOf, type RequestRecord, setOut, traceparentOf } from '../record.ts'
import type { Throttling } from '../throttle.ts'
import { echo, parseQuery } from './query.ts'
import { encodeAnswer, encodeError, XML_CONTENT_TYPE } from './xml.ts'

export interface StsRoadParts {
  readonly authenticator: Authenticator
  readonly throttle: Throttling
  readonly services: StsServices
  readonly record: RequestRecord
  /** Absent when nobody wants traces. */
  readonly tracing?: Tracing | undefined
}

/** What the steps that STS shares with KMS throw, in the words of the Query protocol. */
const CODES: Partial<Record<ErrorCode, StsErrorCode>> = {
  AccessDeniedException: 'AccessDenied',
  DependencyTimeoutException: 'ServiceUnavailable',
  ExpiredTokenException: 'ExpiredToken',
  IncompleteSignatureException: 'IncompleteSignature',
  InvalidSignatureException: 'SignatureDoesNotMatch',
  KeyUnavailableException: 'ServiceUnavailable',
  MissingAuthenticationTokenException: 'MissingAuthenticationToken',
  RequestEntityTooLargeException: 'RequestEntityTooLarge',
  SerializationException: 'MalformedInput',
  ThrottlingException: 'Throttling',
  UnrecognizedClientException: 'InvalidClientTokenId',
}

export class StsRoad {
  readonly #parts: StsRoadParts

  constructor(parts: StsRoadParts) {
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
    const { requestId } = journey
    let recorded: Promise<void> | undefined
    try {
      const output = await this.#perform(request, journey)
      recorded = record.audited(request, journey, output, undefined)
      await recorded
      send(response, 200, encodeAnswer(journey.operation, output, requestId), requestId)
      record.observed(request, journey, undefined)
    } catch (thrown) {
      let error = stsErrorOf(thrown)
      try {
        if (recorded === undefined) await record.audited(request, journey, undefined, failureOf(error))
      } catch (unrecorded) {
        error = stsErrorOf(unrecorded)
      }
      if (!request.complete) response.shouldKeepAlive = false
      send(response, error.status, encodeError(error, requestId), requestId)
      record.observed(request, journey, failureOf(error))
    }
  }

  async #perform(request: IncomingMessage, journey: Journey): Promise<StsOutput> {
    const { authenticator, throttle, services, record } = this.#parts
    const body = await readBody(request)
    record.requireWritable()
    const { method = '', url = '', rawHeaders } = request
    const authenticated = await authenticator.authenticate({ method, url, rawHeaders, body })
    journey.authenticated = authenticated
    const { action: name, parameters } = parseQuery(body)
    const action = ACTIONS.get(name)
    if (action === undefined) throw new StsError('InvalidAction', `Could not find operation ${echo(name)}`)
    journey.operation = name
    const counted = throttle.count(authenticated.caller, authenticated.region, 'sts')
    if (counted !== undefined) await counted
    journey.origin = originOf(request)
    const input = readInput(action.input, parameters)
    journey.input = input
    return action.perform({ ...services, ...authenticated, origin: journey.origin }, input)
  }
}

/** Throws StsError ValidationError or MalformedInput. */
function readInput<S extends Structure>(shape: S, parameters: Readonly<Record<string, unknown>>): Infer<S> {
  const parsed = parseInput(shape, parameters)
  if (parsed.fault === undefined) return parsed.value
  throw new StsError(parsed.fault === 'type' ? 'MalformedInput' : 'ValidationError', parsed.message)
}

function send(response: ServerResponse, status: number, body: string, requestId: string): void {
  const length = String(Buffer.byteLength(body))
  response.writeHead(status, [
    'Content-Type',
    XML_CONTENT_TYPE,
    'x-amzn-RequestId',
    requestId,
    'Content-Length',
    length,
  ])
  response.end(body)
}

function failureOf({ code, message, status, detail, cause }: StsError): Failure {
  return { code, message, status, detail, cause }
}

function stsErrorOf(error: unknown): StsError {
  if (error instanceof StsError) return error
  if (error instanceof AuditUnavailable) {
    const message = 'The request cannot be recorded now. Try again.'
    return new StsError('ServiceUnavailable', message, { cause: error, detail: error.message })
  }
  const code = error instanceof KmsError ? CODES[error.code] : undefined
  if (error instanceof KmsError && code !== undefined) {
    const { message, detail } = error
    return new StsError(code, message, detail === undefined ? {} : { detail })
  }
  return new StsError('InternalFailure', 'The request failed because of an internal error.', { cause: error })
}
