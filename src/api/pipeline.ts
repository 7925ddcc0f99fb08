/**
 * THE road of every request. Operations declare what they need; this file alone enforces it, and answers, counts and logs
 * at its one end.
 *
 *   body           bytes, within a bound                                  413
 *   authenticate   SigV4 -> Caller and region                             MissingAuthenticationToken, InvalidSignature, …
 *   operation      X-Amz-Target -> operation                              UnknownOperation, UnsupportedOperation
 *   input          JSON -> typed values within the model's constraints    Serialization, Validation
 *   throttle       the rates of account and principal                     Throttling
 *   perform        check -> resolve -> authorise -> state and usage -> run
 *   dry run        everything above was real; the result is dropped       DryRunOperation
 *   answer         JSON, or the error's code and message; plaintext wiped
 *   record         metrics and log, allowed or refused
 */
import { randomUUID } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Origin } from '../access/request-context.ts'
import { wipe } from '../base/bytes.ts'
import { type Infer, parseInput, type Structure } from '../base/schema.ts'
import { type ErrorCode, errorKind, KmsError } from '../model/errors.ts'
import { isOperationName } from '../model/operations.ts'
import type { Operation, Output, Services } from '../operations/operation.ts'
import { registry } from '../operations/registry.ts'
import { StoreLocked } from '../store/faults.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { RequestSpan, Tracing } from '../telemetry/tracing.ts'
import type { Authenticated, Authenticator } from './authenticate.ts'
import { readBody } from './body.ts'
import { encodeError, encodeOutput, operationOf, parseBody, responseHeaders } from './protocol.ts'
import { rateNameOf } from './rate-names.ts'
import { OK, type RequestMetrics } from './request-metrics.ts'
import type { Throttle } from './throttle.ts'

export interface RoadParts {
  readonly authenticator: Authenticator
  readonly throttle: Throttle
  readonly services: Services
  readonly metrics: RequestMetrics
  readonly logger: Logger
  /** Absent when nobody wants traces. */
  readonly tracing?: Tracing | undefined
}

/** What is known of a request when its end is recorded. */
interface Journey {
  readonly requestId: string
  readonly startedAtMs: number
  operation: string
  readOnly: boolean
  authenticated: Authenticated | undefined
  /** Absent when nobody wants traces. */
  readonly span: RequestSpan | undefined
}

const UNKNOWN = 'unknown'
const MS_PER_SECOND = 1_000
/** Members that hold plaintext on their way to or from a caller. */
const PLAINTEXT_MEMBERS = ['Plaintext', 'PrivateKeyPlaintext', 'SharedSecret'] as const

export class Road {
  readonly #parts: RoadParts

  constructor(parts: RoadParts) {
    this.#parts = parts
  }

  /** Takes one request from its first byte to its answer. Never rejects. */
  travel(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { tracing } = this.#parts
    if (tracing === undefined) return this.#travel(request, response)
    return tracing.request(traceparentOf(request), span => this.#travel(request, response, span))
  }

  async #travel(request: IncomingMessage, response: ServerResponse, span?: RequestSpan): Promise<void> {
    const journey: Journey = {
      requestId: randomUUID(),
      startedAtMs: performance.now(),
      operation: UNKNOWN,
      readOnly: true,
      authenticated: undefined,
      span,
    }
    try {
      const output = await this.#perform(request, journey)
      send(response, journey, 200, encodeOutput(output))
      wipePlaintext(output)
      this.#record(request, journey, undefined)
    } catch (thrown) {
      const error = kmsErrorOf(thrown)
      const { status, body } = encodeError(error)
      if (!request.complete) response.shouldKeepAlive = false
      send(response, journey, status, body, error.code)
      this.#record(request, journey, error)
    }
  }

  async #perform(request: IncomingMessage, journey: Journey): Promise<Output> {
    const { authenticator, throttle, services } = this.#parts
    const { requestId } = journey
    const body = await readBody(request)
    let input: Infer<Structure> | undefined
    try {
      const { method = '', url = '', rawHeaders } = request
      const authenticated = await authenticator.authenticate({ method, url, rawHeaders, body })
      journey.authenticated = authenticated
      const operation = lookUp(operationOf(request.headers), journey)
      input = readInput(operation.input, body)
      throttle.count(authenticated.caller, authenticated.region, rateNameOf(operation.name, input))
      const output = await operation.perform(
        services,
        { ...authenticated, requestId, origin: originOf(request) },
        input,
      )
      if (input.DryRun !== true) return output
      wipePlaintext(output)
      throw new KmsError('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.')
    } finally {
      wipePlaintext(input)
      wipe(body)
    }
  }

  #record(request: IncomingMessage, journey: Journey, error: KmsError | undefined): void {
    const { metrics, logger } = this.#parts
    const { operation, authenticated, requestId } = journey
    const seconds = (performance.now() - journey.startedAtMs) / MS_PER_SECOND
    const account = authenticated?.caller.account
    if (error === undefined && account !== undefined) metrics.succeeded(operation, account, seconds)
    else if (error !== undefined) {
      metrics.refused(operation, { account, code: error.code, failed: errorKind(error.code).status >= 500 }, seconds)
    }
    journey.span?.end({
      ...{ operation, outcome: error?.code ?? OK, requestId, region: authenticated?.region, account },
      failed: error !== undefined && errorKind(error.code).status >= 500,
    })
    const level = severity(error, journey.readOnly)
    if (!logger.enabled(level)) return
    logger[level]('request', {
      requestId,
      operation,
      outcome: error?.code ?? OK,
      milliseconds: Math.round(seconds * MS_PER_SECOND * 1_000) / 1_000,
      principal: authenticated?.caller.arn,
      accessKeyId: authenticated?.accessKeyId,
      viaService: authenticated?.caller.viaService,
      region: authenticated?.region,
      source: request.socket.remoteAddress,
      ...(error === undefined ? {} : { reason: error.message, detail: error.detail }),
      ...(level === 'error' ? { error: error?.cause ?? error } : {}),
    })
  }
}

/** What conditions may ask of the connection: its peer, for nobody else says who is calling. */
export function originOf({ socket, headers }: IncomingMessage): Origin {
  return {
    sourceIp: socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, ''),
    userAgent: headers['user-agent'],
    secureTransport: 'encrypted' in socket,
  }
}

/** The header of W3C Trace Context; one that comes twice says nothing. */
export function traceparentOf({ headers: { traceparent } }: IncomingMessage): string | undefined {
  return typeof traceparent === 'string' ? traceparent : undefined
}

function lookUp(name: string, journey: Journey): Operation {
  if (!isOperationName(name)) throw new KmsError('UnknownOperationException')
  journey.operation = name
  const operation = registry.get(name)
  if (operation === undefined) throw new KmsError('UnsupportedOperationException', `${name} is not supported yet.`)
  journey.readOnly = operation.readOnly
  return operation
}

/** Throws KmsError SerializationException or ValidationException. */
function readInput<S extends Structure>(shape: S, body: Buffer): Infer<S> {
  const parsed = parseInput(shape, parseBody(body))
  if (parsed.fault === undefined) return parsed.value
  throw new KmsError(parsed.fault === 'type' ? 'SerializationException' : 'ValidationException', parsed.message)
}

function send(
  response: ServerResponse,
  { requestId }: Journey,
  status: number,
  body: string,
  errorType?: ErrorCode,
): void {
  const lengthBytes = Buffer.byteLength(body)
  response.writeHead(status, responseHeaders(requestId, lengthBytes, errorType))
  // Most answers are ASCII, which leaves as it is.
  response.end(body, lengthBytes === body.length ? 'latin1' : 'utf8')
}

function wipePlaintext(members: Output): void {
  for (const name of PLAINTEXT_MEMBERS) {
    const value = members?.[name]
    if (value instanceof Uint8Array) wipe(value)
  }
}

/** Every refusal leaves a line, every change too; a successful read or cryptographic call only at level debug. */
function severity(error: KmsError | undefined, readOnly: boolean): 'error' | 'info' | 'debug' {
  if (error === undefined) return readOnly ? 'debug' : 'info'
  return error.code === 'KMSInternalException' ? 'error' : 'info'
}

function kmsErrorOf(error: unknown): KmsError {
  if (error instanceof KmsError) return error
  if (error instanceof StoreLocked) {
    return new KmsError('DependencyTimeoutException', 'The key store did not answer in time.', { cause: error })
  }
  return new KmsError('KMSInternalException', 'The request failed because of an internal error.', { cause: error })
}
