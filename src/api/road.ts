/**
 * THE road of every request, from its first byte to its answer. Its two ends are the same for every service; what lies between
 * them is the service's pipeline: pipeline.ts for KMS, sts/pipeline.ts, cloudtrail/pipeline.ts.
 *
 *   body           bytes, within a bound                                 413
 *   writable       nothing is begun that could not be recorded           DependencyTimeout
 *   current        nothing is answered from what may have changed       DependencyTimeout
 *   authenticate   SigV4 -> Caller and region                            MissingAuthenticationToken, InvalidSignature, …
 *   perform        the pipeline
 *   record         the event is in the audit log, allowed or refused     DependencyTimeout: then nothing is answered
 *   answer         the output, or the error's code and message; plaintext wiped
 *   observe        metrics and log
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { AuditUnavailable } from '../audit/unavailable.ts'
import { wipe } from '../base/bytes.ts'
import { KmsError } from '../model/errors.ts'
import { StoreLocked, StoreStale, StoreUnwritable } from '../store/faults.ts'
import type { StoreView } from '../store/store.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { RequestSpan, Tracing } from '../telemetry/tracing.ts'
import type { Authenticated, Authenticator } from './authenticate.ts'
import { readBody } from './body.ts'
import { type Failure, type Journey, setOut } from './journey.ts'
import { wipePlaintext } from './plaintext.ts'
import type { RequestRecord } from './record.ts'
import type { HeaderFields } from './sigv4/headers.ts'

/** The header of W3C Trace Context; one that comes twice is none of its format. */
const TRACEPARENT = 'traceparent'

/** The members of an answer. */
type Members = Readonly<Record<string, unknown>> | undefined

/** What a service does with an authenticated request, and how its protocol words what comes of it. */
export interface Pipeline<Output extends Members, Refusal extends Failure> {
  /** Tells the journey what is asked for. Body and input are overwritten once this settles. Throws or rejects with anything. */
  perform(journey: Journey, authenticated: Authenticated, body: Buffer): Promise<Output>
  /** The body of an answer. */
  encode(output: Output, journey: Journey): string
  /** What the caller is told of anything that was thrown. */
  refusalOf(thrown: unknown): Refusal
  /** The body of a refusal: never its detail or cause. */
  encodeRefusal(refusal: Refusal, journey: Journey): string
  /** The headers of either, as the flat list that `writeHead` takes fastest. */
  headersOf(requestId: string, lengthBytes: number, refusal?: Refusal): string[]
}

export interface RoadParts {
  readonly authenticator: Pick<Authenticator, 'authenticate'>
  readonly record: Pick<RequestRecord, 'requireWritable' | 'audited' | 'observed'>
  readonly view: Pick<StoreView, 'requireCurrent'>
  /** Absent when nobody wants traces. */
  readonly tracing: Tracing | undefined
  readonly logger: Pick<Logger, 'error'>
}

export class Road<Output extends Members, Refusal extends Failure> {
  readonly #pipeline: Pipeline<Output, Refusal>
  readonly #parts: RoadParts

  constructor(pipeline: Pipeline<Output, Refusal>, parts: RoadParts) {
    this.#pipeline = pipeline
    this.#parts = parts
  }

  /** Takes one request from its first byte to its answer. Never rejects. */
  travel(request: IncomingMessage, response: ServerResponse, headers: HeaderFields): Promise<void> {
    const { tracing } = this.#parts
    if (tracing === undefined) return this.#travel(request, response, headers)
    return tracing.request(headers[TRACEPARENT], span => this.#travel(request, response, headers, span))
  }

  async #travel(
    request: IncomingMessage,
    response: ServerResponse,
    headers: HeaderFields,
    span?: RequestSpan,
  ): Promise<void> {
    const { authenticator, record, view } = this.#parts
    const pipeline = this.#pipeline
    const journey = setOut(request, headers, span)
    let output: Output | undefined
    let recorded: Promise<void> | undefined
    try {
      const body = await readBody(request, headers)
      try {
        record.requireWritable()
        view.requireCurrent()
        const { method = '', url = '', rawHeaders } = request
        const proof = authenticator.authenticate({ method, url, rawHeaders, body }, headers)
        const authenticated = proof instanceof Promise ? await proof : proof
        journey.authenticated = authenticated
        output = await pipeline.perform(journey, authenticated, body)
      } finally {
        wipe(body)
        wipePlaintext(journey.input)
      }
      const answer = pipeline.encode(output, journey)
      recorded = record.audited(journey, output, undefined)
      await recorded
      this.#send(response, journey, 200, answer)
      record.observed(journey, undefined)
    } catch (thrown) {
      // What could not be recorded as done is not recorded as refused either.
      await this.#refuse(request, response, journey, thrown, recorded === undefined)
    } finally {
      wipePlaintext(output)
    }
  }

  async #refuse(
    request: IncomingMessage,
    response: ServerResponse,
    journey: Journey,
    thrown: unknown,
    toBeRecorded: boolean,
  ): Promise<void> {
    const { record, logger } = this.#parts
    try {
      let refusal = this.#refusalOf(thrown)
      try {
        if (toBeRecorded) await record.audited(journey, undefined, refusal)
      } catch (unrecorded) {
        refusal = this.#refusalOf(unrecorded)
      }
      if (!request.complete) response.shouldKeepAlive = false
      this.#send(response, journey, refusal.status, this.#pipeline.encodeRefusal(refusal, journey), refusal)
      record.observed(journey, refusal)
    } catch (fault) {
      // Of ours, and beyond an answer: one may be on its way.
      response.destroy()
      logger.error('a request ended without an answer', { requestId: journey.requestId, error: fault, thrown })
    }
  }

  #refusalOf(thrown: unknown): Refusal {
    return this.#pipeline.refusalOf(inWordsOfKms(thrown))
  }

  #send(response: ServerResponse, { requestId }: Journey, status: number, body: string, refusal?: Refusal): void {
    const lengthBytes = Buffer.byteLength(body)
    response.writeHead(status, this.#pipeline.headersOf(requestId, lengthBytes, refusal))
    // Most answers are ASCII, which leaves as it is.
    response.end(body, lengthBytes === body.length ? 'latin1' : 'utf8')
  }
}

/** Failures of parts below that every service answers alike; anything else as it is. */
function inWordsOfKms(thrown: unknown): unknown {
  if (thrown instanceof StoreLocked) {
    return new KmsError('DependencyTimeoutException', 'The key store did not answer in time.', { cause: thrown })
  }
  if (thrown instanceof StoreUnwritable) {
    const options = { cause: thrown, detail: thrown.message }
    return new KmsError('DependencyTimeoutException', 'The key store cannot be written now. Try again.', options)
  }
  if (thrown instanceof StoreStale) {
    const options = { cause: thrown, detail: thrown.message }
    return new KmsError('DependencyTimeoutException', 'The key store cannot be looked at now. Try again.', options)
  }
  if (thrown instanceof AuditUnavailable) {
    const options = { cause: thrown, detail: thrown.message }
    return new KmsError('DependencyTimeoutException', 'The request cannot be recorded now. Try again.', options)
  }
  return thrown
}
