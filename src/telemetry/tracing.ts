/**
 * Traces as the rest of the program sees them: a span for a request in the service world, and one for each of its commands in
 * the crypto world. Without a collector in the configuration there is no Tracing, and nobody asks for spans.
 */

/** What crosses the contract: trace id and span id (W3C Trace Context, section 3.2.2), 16 and 8 bytes. */
export type TraceContext = Buffer

export const TRACE_ID_BYTES = 16

/** How a request ended. Nothing of its input but what metrics and log have of it. */
export interface RequestEnd {
  /** As in the label of the metrics. */
  readonly operation: string
  readonly outcome: string
  /** Whether the fault is ours. */
  readonly failed: boolean
  readonly requestId: string
  readonly region: string | undefined
  readonly account: string | undefined
}

export interface RequestSpan {
  end(how: RequestEnd): void
}

/** What a host says of a command that was traced. */
export interface HostSpan {
  /** The request's, as the host was given it. */
  readonly context: TraceContext
  readonly command: string
  /** Unix time. */
  readonly startedAtMs: number
  readonly durationMs: number
  /** `ok`, `need-record`, or the kind of a fault. */
  readonly outcome: string
  readonly region: string
  readonly token: string
  readonly pid: number | undefined
}

export interface Tracing extends AsyncDisposable {
  /** Runs `travel` with a span of its own, below the one that `traceparent` names. */
  request(traceparent: string | undefined, travel: (span: RequestSpan) => Promise<void>): Promise<void>
  /** The span of the request that this is done for; undefined when there is none, or it is not one that is kept. */
  current(): TraceContext | undefined
  host(span: HostSpan): void
}
