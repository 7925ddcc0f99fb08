/**
 * Tracing by OpenTelemetry, sent to a collector by OTLP over HTTP. Loaded only when a collector is configured. Spans are sent in
 * batches; what a collector that is away cannot take is dropped, and no request waits for it.
 *
 * Each world is a service of its own in the traces. The hosts of the crypto world send nothing anywhere: what they say of a
 * command comes back on their channel, and this process passes it on.
 */
import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Attributes,
  DiagLogLevel,
  diag,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from '@opentelemetry/api'
import { parseTraceParent } from '@opentelemetry/core'
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http'
import { resourceFromAttributes } from '@opentelemetry/resources'
import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace'
import type { Logger } from './logger.ts'
import { type HostSpan, type RequestSpan, TRACE_ID_BYTES, type TraceContext, type Tracing } from './tracing.ts'

export interface OtlpSettings {
  /** Where the collector takes traces: `http://127.0.0.1:4318/v1/traces`. */
  readonly endpoint: string
  /** One request in so many is kept, whoever asks for more. */
  readonly sampledOneIn: number
}

/** The services of the traces. */
const SERVICE = 'strongroom'
const HSM_HOST = 'strongroom-hsm-host'
const EXPORT_MS = 5_000
const BATCH_DELAY_MS = 1_000
/** A collector that is away does not keep the daemon from ending. */
const SHUTDOWN_MS = 3_000
/** A collector that is away is told of once in so long. */
const COMPLAINT_EVERY_MS = 60_000

export class OtlpTracing implements Tracing {
  readonly #current = new AsyncLocalStorage<Span>()
  readonly #processor: BatchSpanProcessor
  readonly #service
  readonly #hsmHost

  constructor({ endpoint, sampledOneIn }: OtlpSettings, logger: Logger) {
    complainTo(logger)
    const exporter = new OTLPTraceExporter({ url: endpoint, timeoutMillis: EXPORT_MS })
    this.#processor = new BatchSpanProcessor({ exporter, scheduledDelayMillis: BATCH_DELAY_MS })
    const ratio = new TraceIdRatioBasedSampler(1 / sampledOneIn)
    const off = new AlwaysOffSampler()
    // A caller may ask not to be kept, but cannot have every request kept.
    const sampler = new ParentBasedSampler({ root: ratio, remoteParentSampled: ratio, remoteParentNotSampled: off })
    this.#service = this.#tracerOf(SERVICE, sampler)
    this.#hsmHost = this.#tracerOf(HSM_HOST, new AlwaysOnSampler())
  }

  request(traceparent: string | undefined, travel: (span: RequestSpan) => Promise<void>): Promise<void> {
    const remote = traceparent === undefined ? null : parseTraceParent(traceparent)
    const parent = remote === null ? ROOT_CONTEXT : trace.setSpanContext(ROOT_CONTEXT, { ...remote, isRemote: true })
    const span = this.#service.startSpan('request', { kind: SpanKind.SERVER }, parent)
    const end: RequestSpan['end'] = how => {
      span.updateName(how.operation)
      span.setAttributes(
        known({
          'rpc.method': how.operation,
          'strongroom.outcome': how.outcome,
          'strongroom.request_id': how.requestId,
          'strongroom.region': how.region,
          'strongroom.account': how.account,
        }),
      )
      if (how.failed) span.setStatus({ code: SpanStatusCode.ERROR, message: how.outcome })
      span.end()
    }
    return this.#current.run(span, () => travel({ end }))
  }

  current(): TraceContext | undefined {
    const span = this.#current.getStore()
    if (span?.isRecording() !== true) return undefined
    const { traceId, spanId } = span.spanContext()
    return Buffer.from(traceId + spanId, 'hex')
  }

  host({ context: parent, command, startedAtMs, durationMs, outcome, region, token, pid }: HostSpan): void {
    const traceId = parent.toString('hex', 0, TRACE_ID_BYTES)
    const spanId = parent.toString('hex', TRACE_ID_BYTES)
    const above = trace.setSpanContext(ROOT_CONTEXT, { traceId, spanId, traceFlags: TraceFlags.SAMPLED })
    const attributes = known({
      'strongroom.outcome': outcome,
      'strongroom.region': region,
      'strongroom.token': token,
      'process.pid': pid,
    })
    const span = this.#hsmHost.startSpan(command, { kind: SpanKind.SERVER, startTime: startedAtMs, attributes }, above)
    if (outcome === 'token' || outcome === 'session' || outcome === 'module')
      span.setStatus({ code: SpanStatusCode.ERROR })
    span.end(startedAtMs + durationMs)
  }

  /** Sends what is left, if the collector takes it soon. */
  async [Symbol.asyncDispose](): Promise<void> {
    const impatience = Promise.withResolvers<void>()
    const timer = setTimeout(impatience.resolve, SHUTDOWN_MS)
    await Promise.race([this.#processor.shutdown().catch(() => {}), impatience.promise])
    clearTimeout(timer)
    diag.disable()
  }

  #tracerOf(service: string, sampler: ParentBasedSampler | AlwaysOnSampler) {
    const resource = resourceFromAttributes({ 'service.name': service })
    return new TracerProvider({ resource, sampler, spanProcessors: [this.#processor] }).getTracer('strongroom')
  }
}

/** The attributes that have a value. */
function known(attributes: Readonly<Record<string, string | number | undefined>>): Attributes {
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== undefined))
}

/** What OpenTelemetry has to say goes to our log, seldom and without what it quotes. */
function complainTo(logger: Logger): void {
  let complainedAtMs = Number.NEGATIVE_INFINITY
  const complain = () => {
    if (performance.now() - complainedAtMs < COMPLAINT_EVERY_MS) return
    complainedAtMs = performance.now()
    logger.warn('traces are not taken by the collector, and dropped')
  }
  const silent = () => {}
  const logging = { error: complain, warn: complain, info: silent, debug: silent, verbose: silent }
  diag.setLogger(logging, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true })
}
