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
 *   record         the event is in the audit log, allowed or refused      DependencyTimeout: then nothing is answered
 *   answer         JSON, or the error's code and message; plaintext wiped
 *   observe        metrics and log
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { AuditUnavailable } from '../audit/unavailable.ts'
import { wipe } from '../base/bytes.ts'
import { type Infer, parseInput, type Structure } from '../base/schema.ts'
import { type ErrorCode, errorKind, KmsError } from '../model/errors.ts'
import { isOperationName } from '../model/operations.ts'
import type { Operation, Output, Services } from '../operations/operation.ts'
import { registry } from '../operations/registry.ts'
import { StoreLocked } from '../store/faults.ts'
import type { RequestSpan, Tracing } from '../telemetry/tracing.ts'
import type { Authenticator } from './authenticate.ts'
import { readBody } from './body.ts'
import { encodeError, encodeOutput, operationOf, parseBody, responseHeaders } from './protocol.ts'
import { rateNameOf } from './rate-names.ts'
import { type Failure, type Journey, originOf, type RequestRecord, setOut, traceparentOf } from './record.ts'
import type { Throttling } from './throttle.ts'

export interface RoadParts {
  readonly authenticator: Authenticator
  readonly throttle: Throttling
  readonly services: Services
  readonly record: RequestRecord
  /** Absent when nobody wants traces. */
  readonly tracing?: Tracing | undefined
}

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
    const { record } = this.#parts
    const journey = setOut(span)
    let output: Output
    let recorded: Promise<void> | undefined
    try {
      output = await this.#perform(request, journey)
      const body = encodeOutput(output)
      recorded = record.audited(request, journey, output, undefined)
      await recorded
      send(response, journey, 200, body)
      record.observed(request, journey, undefined)
    } catch (thrown) {
      let error = kmsErrorOf(thrown)
      try {
        // What could not be recorded as done is not recorded as refused either.
        if (recorded === undefined) await record.audited(request, journey, undefined, failureOf(error))
      } catch (unrecorded) {
        error = kmsErrorOf(unrecorded)
      }
      const { status, body } = encodeError(error)
      if (!request.complete) response.shouldKeepAlive = false
      send(response, journey, status, body, error.code)
      record.observed(request, journey, failureOf(error))
    } finally {
      wipePlaintext(output)
    }
  }

  async #perform(request: IncomingMessage, journey: Journey): Promise<Output> {
    const { authenticator, throttle, services, record } = this.#parts
    const { requestId } = journey
    const body = await readBody(request)
    let input: Infer<Structure> | undefined
    try {
      record.requireWritable()
      const { method = '', url = '', rawHeaders } = request
      const authenticated = await authenticator.authenticate({ method, url, rawHeaders, body })
      journey.authenticated = authenticated
      const operation = lookUp(operationOf(request.headers), journey)
      const parsed = readInput(operation.input, body)
      input = parsed
      journey.input = parsed
      const counted = throttle.count(authenticated.caller, authenticated.region, rateNameOf(operation.name, parsed))
      if (counted !== undefined) await counted
      journey.origin = originOf(request)
      const { trail, origin } = journey
      const asker = { ...authenticated, requestId, origin, trail }
      const output = await record.performing(request, journey, () => operation.perform(services, asker, parsed))
      if (parsed.DryRun !== true) return output
      wipePlaintext(output)
      throw new KmsError('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.')
    } finally {
      wipePlaintext(input)
      wipe(body)
    }
  }
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

function failureOf({ code, message, detail, cause }: KmsError): Failure {
  return { code, message, status: errorKind(code).status, detail, cause }
}

function kmsErrorOf(error: unknown): KmsError {
  if (error instanceof KmsError) return error
  if (error instanceof StoreLocked) {
    return new KmsError('DependencyTimeoutException', 'The key store did not answer in time.', { cause: error })
  }
  if (error instanceof AuditUnavailable) {
    const options = { cause: error, detail: error.message }
    return new KmsError('DependencyTimeoutException', 'The request cannot be recorded now. Try again.', options)
  }
  return new KmsError('KMSInternalException', 'The request failed because of an internal error.', { cause: error })
}
