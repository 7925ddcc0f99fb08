/** The public listener: an Express app with one route, for `POST /` is all that the AWS JSON protocol uses. */
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https'
import type { SecureContextOptions } from 'node:tls'
import express from 'express'
import type { RequestRecorder } from '../audit/recorder.ts'
import type { Lookup } from '../cloudtrail/lookup-events.ts'
import type { AccessKeyUses } from '../identities/access-key-uses.ts'
import type { Secrets } from '../keyring/secrets.ts'
import type { Sessions } from '../keyring/sessions.ts'
import { KmsError } from '../model/errors.ts'
import type { Services } from '../operations/operation.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import type { Tracing } from '../telemetry/tracing.ts'
import { Authenticator } from './authenticate.ts'
import { CloudTrailPipeline, isCloudTrail } from './cloudtrail/pipeline.ts'
import { KmsPipeline } from './pipeline.ts'
import { encodeError, responseHeaders } from './protocol.ts'
import { RequestRecord } from './record.ts'
import type { RefusalLines } from './refusal-lines.ts'
import { ApiRequest } from './request.ts'
import { newRequestId } from './request-ids.ts'
import { RequestMetrics } from './request-metrics.ts'
import { Road } from './road.ts'
import { foldHeaders, type HeaderFields } from './sigv4/headers.ts'
import { StsPipeline } from './sts/pipeline.ts'
import { isQuery } from './sts/query.ts'
import type { Throttling } from './throttle.ts'

/** Longer than usual clients and proxies wait, so that the client is the one to close an idle connection. */
const KEEP_ALIVE_MS = 75_000
/** A signed request's headers take about 1 KB; a session token may add 8. */
const HEADERS_MAX_BYTES = 16_384
/** From a connection's first byte to the end of a request: a slow client must not hold a connection for ever. */
const REQUEST_MS = 30_000

export interface ApiParts {
  readonly services: Services
  readonly secrets: Secrets
  readonly sessions: Sessions
  readonly accessKeyUses: AccessKeyUses
  readonly throttle: Throttling
  readonly regions: ReadonlySet<string>
  readonly audit: RequestRecorder
  readonly lookup: Lookup
  readonly metrics: Metrics
  readonly logger: Logger
  readonly refusalLines: RefusalLines
  /** Absent when nobody wants traces. */
  readonly tracing?: Tracing | undefined
}

/** The server of the KMS API and STS, not listening yet: plain HTTP, or TLS when it is given a certificate. */
export function createApiServer(parts: ApiParts, tls?: SecureContextOptions): Server | TlsServer {
  const {
    services,
    secrets,
    sessions,
    accessKeyUses,
    throttle,
    regions,
    audit,
    lookup,
    logger,
    refusalLines,
    tracing,
  } = parts
  const metrics = new RequestMetrics(parts.metrics)
  const { store, clock } = services
  /** What a service needs of its own; the name is that of the credential scope. */
  const endsOf = (service: string) => {
    const served = { regions, services: new Set([service]) }
    const authenticator = new Authenticator({ hot: store.hot, secrets, sessions, accessKeyUses, served, clock })
    const record = new RequestRecord(service, { audit, metrics, logger, refusalLines })
    return { authenticator, record, view: store.view, tracing, logger }
  }
  const kmsEnds = endsOf('kms')
  const kms = new Road(new KmsPipeline({ throttle, services, record: kmsEnds.record }), kmsEnds)
  const sts = new Road(
    new StsPipeline({ throttle, services: { reader: store.reader, sessions, clock } }),
    endsOf('sts'),
  )
  const cloudTrail = new Road(
    new CloudTrailPipeline({ throttle, access: services.access, lookup }),
    endsOf('cloudtrail'),
  )
  const roadOf = (headers: HeaderFields) => {
    if (isQuery(headers)) return sts
    return isCloudTrail(headers) ? cloudTrail : kms
  }
  const travel = (request: IncomingMessage, response: ServerResponse, headers: HeaderFields) =>
    roadOf(headers).travel(request, response, headers)
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', false)
  app.post('/', (request, response) => travel(request, response, foldHeaders(request.rawHeaders)))
  app.use((_request, response) => {
    const body = encodeError(new KmsError('UnknownOperationException'))
    response.writeHead(404, responseHeaders(newRequestId(), body.length, 'UnknownOperationException')).end(body)
  })
  const limits = { keepAliveTimeout: KEEP_ALIVE_MS, maxHeaderSize: HEADERS_MAX_BYTES, requestTimeout: REQUEST_MS }
  const options = { ...limits, IncomingMessage: ApiRequest, noDelay: true }
  const listener: RequestListener<typeof ApiRequest> = (request, response) => {
    // Express's router takes a sixth of what a request costs here to find the one route (2.7 of 17 µs, and 2.8 KB).
    if (request.url === '/' && request.method === 'POST') travel(request, response, request.fields)
    else app(request, response)
  }
  return tls === undefined ? createServer(options, listener) : createTlsServer({ ...options, ...tls }, listener)
}
