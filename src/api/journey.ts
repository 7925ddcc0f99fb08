/** A request on its road: what is known of it when its end comes, and how it may have failed. */
import type { IncomingMessage } from 'node:http'
import type { Origin } from '../access/request-context.ts'
import { Trail } from '../access/trail.ts'
import type { RequestSpan } from '../telemetry/tracing.ts'
import type { Authenticated } from './authenticate.ts'
import { newRequestId } from './request-ids.ts'
import type { HeaderFields } from './sigv4/headers.ts'

export interface Journey {
  readonly request: IncomingMessage
  readonly headers: HeaderFields
  readonly requestId: string
  /** By the monotonic clock. */
  readonly startedAtMs: number
  readonly trail: Trail
  /** Of its event in the audit log. */
  readonly eventId: string
  /** What it called, as AWS names it. */
  operation: string
  readOnly: boolean
  authenticated: Authenticated | undefined
  readonly origin: Origin
  input: Readonly<Record<string, unknown>> | undefined
  /** Absent when nobody wants traces. */
  readonly span: RequestSpan | undefined
}

/** An error in the words of the request's protocol. `detail` and `cause` are for the log. */
export interface Failure {
  readonly code: string
  readonly message: string
  /** Of HTTP. */
  readonly status: number
  readonly detail: string | undefined
  readonly cause?: unknown
}

const UNKNOWN = 'unknown'

export function setOut(request: IncomingMessage, headers: HeaderFields, span?: RequestSpan): Journey {
  return {
    request,
    headers,
    requestId: newRequestId(),
    startedAtMs: performance.now(),
    trail: new Trail(),
    eventId: newRequestId(),
    operation: UNKNOWN,
    readOnly: true,
    authenticated: undefined,
    origin: originOf(request, headers),
    input: undefined,
    span,
  }
}

/** What conditions may ask of the connection: its peer, for nobody else says who is calling. */
function originOf({ socket }: IncomingMessage, headers: HeaderFields): Origin {
  return {
    sourceIp: socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, ''),
    userAgent: headers['user-agent'],
    secureTransport: 'encrypted' in socket,
  }
}
