/**
 * The last step of every road: a request is recorded in the audit log before its answer leaves, and counted and logged after.
 */
import { type CallFacts, cutText } from '../audit/events.ts'
import { identityOf, unproven } from '../audit/identity.ts'
import type { RequestRecorder } from '../audit/recorder.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Failure, Journey } from './journey.ts'
import type { RefusalLines } from './refusal-lines.ts'
import { OK, type RequestMetrics } from './request-metrics.ts'
import type { HeaderFields } from './sigv4/headers.ts'

const MS_PER_SECOND = 1_000
/** Faults of our own, by protocol. */
const INTERNAL: ReadonlySet<string> = new Set(['KMSInternalException', 'InternalFailure'])
const OURS = 500

export interface RecordParts {
  readonly audit: RequestRecorder
  readonly metrics: RequestMetrics
  readonly logger: Logger
  readonly refusalLines: Pick<RefusalLines, 'leavesOut'>
}

export class RequestRecord {
  readonly #parts: RecordParts
  readonly #service: string
  /** Before the operation in metrics and log; nothing for KMS. */
  readonly #prefix: string

  /** `service` is that of the credential scope. */
  constructor(service: string, parts: RecordParts) {
    this.#service = service
    this.#prefix = service === 'kms' ? '' : `${service}:`
    this.#parts = parts
  }

  /** Throws AuditUnavailable while no event can be written: then nothing is begun. */
  requireWritable(): void {
    this.#parts.audit.requireWritable()
  }

  /** Runs what the request does. A change leaves its event in the key store, in the transaction that makes it. */
  performing<T>(journey: Journey, work: () => Promise<T>): Promise<T> {
    if (journey.readOnly) return work()
    return this.#parts.audit.changing(() => this.#facts(journey, undefined, undefined), work)
  }

  /** Resolves when the request stands in the audit log. Rejects with AuditUnavailable: then its answer must not leave. */
  audited(
    journey: Journey,
    output: Readonly<{ [member: string]: unknown }> | undefined,
    failure: Failure | undefined,
  ): Promise<void> {
    const facts = this.#facts(journey, output, failure)
    return journey.readOnly ? this.#parts.audit.call(facts) : this.#parts.audit.changed(facts)
  }

  /** Counts and logs the request, answered already. A refusal of a caller who has proved nothing may have no line. */
  observed(journey: Journey, failure: Failure | undefined): void {
    const { metrics, logger, refusalLines } = this.#parts
    const { authenticated, requestId, request } = journey
    const operation = this.#prefix + journey.operation
    const seconds = (performance.now() - journey.startedAtMs) / MS_PER_SECOND
    const account = authenticated?.caller.account
    const failed = failure !== undefined && failure.status >= OURS
    if (failure !== undefined) metrics.refused(operation, { account, code: failure.code, failed }, seconds)
    else if (account !== undefined) metrics.succeeded(operation, account, seconds)
    journey.span?.end({
      ...{ operation, outcome: failure?.code ?? OK, requestId, region: authenticated?.region, account, failed },
    })
    const level = this.#severity(failure, journey.readOnly)
    if (!logger.enabled(level)) return
    const { sourceIp } = journey.origin
    if (failure !== undefined && refusalLines.leavesOut({ account, error: failure, sourceIp })) return
    logger[level]('request', {
      requestId,
      operation,
      outcome: failure?.code ?? OK,
      milliseconds: Math.round(seconds * MS_PER_SECOND * 1_000) / 1_000,
      principal: authenticated?.caller.arn,
      accessKeyId: authenticated?.accessKeyId,
      viaService: authenticated?.caller.viaService,
      region: authenticated?.region,
      source: request.socket.remoteAddress,
      ...(failure === undefined ? {} : { reason: cutText(failure.message), detail: failure.detail }),
      ...(level === 'error' ? { error: failure?.cause ?? failure } : {}),
    })
  }

  #facts(
    journey: Journey,
    output: Readonly<{ [member: string]: unknown }> | undefined,
    failure: Failure | undefined,
  ): CallFacts {
    const { headers, authenticated, trail, input } = journey
    const { sourceIp, userAgent, secureTransport } = journey.origin
    return {
      eventId: journey.eventId,
      requestId: journey.requestId,
      service: this.#service,
      operation: journey.operation,
      readOnly: journey.readOnly,
      input,
      output,
      error: failure,
      sourceIp,
      userAgent,
      secureTransport,
      decided: trail.decided,
      identity:
        authenticated === undefined
          ? unproven(claimedAccessKey(headers))
          : identityOf(authenticated.caller, authenticated.accessKeyId),
      account: authenticated?.caller.account,
      region: authenticated?.region,
    }
  }

  /** Every change leaves a line, refusals too; a successful read or cryptographic call of KMS only at level debug. */
  #severity(failure: Failure | undefined, readOnly: boolean): 'error' | 'info' | 'debug' {
    if (failure === undefined) return readOnly && this.#service === 'kms' ? 'debug' : 'info'
    return INTERNAL.has(failure.code) ? 'error' : 'info'
  }
}

/** Who a caller says it is, proved or not. */
function claimedAccessKey(headers: HeaderFields): string | undefined {
  return /Credential=([A-Za-z0-9]{1,128})\//.exec(headers.authorization ?? '')?.[1]
}
