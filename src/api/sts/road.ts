/**
 * The road of a request to STS, which shares the endpoint with KMS: body, authentication, action, input, and one end where
 * it is answered, counted and logged. GetCallerIdentity and AssumeRole decide for themselves who may call them.
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { type Infer, parseInput, type Structure } from '../../base/schema.ts'
import { type ErrorCode, KmsError } from '../../model/errors.ts'
import type { StsOutput, StsServices } from '../../sts/action.ts'
import { ACTIONS } from '../../sts/actions.ts'
import { StsError, type StsErrorCode } from '../../sts/errors.ts'
import type { Logger } from '../../telemetry/logger.ts'
import type { RequestSpan, Tracing } from '../../telemetry/tracing.ts'
import type { Authenticated, Authenticator } from '../authenticate.ts'
import { readBody } from '../body.ts'
import { originOf, traceparentOf } from '../pipeline.ts'
import { OK, type RequestMetrics } from '../request-metrics.ts'
import type { Throttle } from '../throttle.ts'
import { echo, parseQuery } from './query.ts'
import { encodeAnswer, encodeError, XML_CONTENT_TYPE } from './xml.ts'

export interface StsRoadParts {
  readonly authenticator: Authenticator
  readonly throttle: Throttle
  readonly services: StsServices
  readonly metrics: RequestMetrics
  readonly logger: Logger
  /** Absent when nobody wants traces. */
  readonly tracing?: Tracing | undefined
}

interface Journey {
  readonly requestId: string
  readonly startedAtMs: number
  action: string
  authenticated: Authenticated | undefined
  /** Absent when nobody wants traces. */
  readonly span: RequestSpan | undefined
}

const UNKNOWN = 'unknown'
const MS_PER_SECOND = 1_000

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
    const requestId = randomUUID()
    const startedAtMs = performance.now()
    const journey: Journey = { requestId, startedAtMs, action: UNKNOWN, authenticated: undefined, span }
    try {
      const output = await this.#perform(request, journey)
      send(response, 200, encodeAnswer(journey.action, output, requestId), requestId)
      this.#record(request, journey, undefined)
    } catch (thrown) {
      const error = stsErrorOf(thrown)
      if (!request.complete) response.shouldKeepAlive = false
      send(response, error.status, encodeError(error, requestId), requestId)
      this.#record(request, journey, error)
    }
  }

  async #perform(request: IncomingMessage, journey: Journey): Promise<StsOutput> {
    const { authenticator, throttle, services } = this.#parts
    const body = await readBody(request)
    const { method = '', url = '', rawHeaders } = request
    const authenticated = await authenticator.authenticate({ method, url, rawHeaders, body })
    journey.authenticated = authenticated
    const { action: name, parameters } = parseQuery(body)
    const action = ACTIONS.get(name)
    if (action === undefined) throw new StsError('InvalidAction', `Could not find operation ${echo(name)}`)
    journey.action = name
    throttle.count(authenticated.caller, authenticated.region, 'sts')
    const asked = { ...services, ...authenticated, origin: originOf(request) }
    return action.perform(asked, readInput(action.input, parameters))
  }

  #record(request: IncomingMessage, journey: Journey, error: StsError | undefined): void {
    const { metrics, logger } = this.#parts
    const { action, authenticated, requestId, startedAtMs } = journey
    const seconds = (performance.now() - startedAtMs) / MS_PER_SECOND
    const operation = `sts:${action}`
    const account = authenticated?.caller.account
    if (error === undefined && account !== undefined) metrics.succeeded(operation, account, seconds)
    else if (error !== undefined)
      metrics.refused(operation, { account, code: error.code, failed: error.status >= 500 }, seconds)
    journey.span?.end({
      ...{ operation, outcome: error?.code ?? OK, requestId, region: authenticated?.region, account },
      failed: error !== undefined && error.status >= 500,
    })
    logger[error?.code === 'InternalFailure' ? 'error' : 'info']('request', {
      requestId,
      operation,
      outcome: error?.code ?? OK,
      milliseconds: Math.round(seconds * MS_PER_SECOND * 1_000) / 1_000,
      principal: authenticated?.caller.arn,
      accessKeyId: authenticated?.accessKeyId,
      region: authenticated?.region,
      source: request.socket.remoteAddress,
      ...(error === undefined ? {} : { reason: error.message, detail: error.detail }),
      ...(error?.code === 'InternalFailure' ? { error: error.cause ?? error } : {}),
    })
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

function stsErrorOf(error: unknown): StsError {
  if (error instanceof StsError) return error
  const code = error instanceof KmsError ? CODES[error.code] : undefined
  if (error instanceof KmsError && code !== undefined) {
    const { message, detail } = error
    return new StsError(code, message, detail === undefined ? {} : { detail })
  }
  return new StsError('InternalFailure', 'The request failed because of an internal error.', { cause: error })
}
