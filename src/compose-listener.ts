/** Builds the public listener of the KMS API, and what every listener of the daemon needs to begin and to end. */
import type { Server } from 'node:http'
import { Server as TlsServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import type { SecureContextOptions } from 'node:tls'
import { Certificate } from './api/certificate.ts'
import { RefusalLines } from './api/refusal-lines.ts'
import { createApiServer } from './api/server.ts'
import type { Throttling } from './api/throttle.ts'
import type { RequestRecorder } from './audit/recorder.ts'
import { sharedBy } from './audit/refusals.ts'
import type { Lookup } from './cloudtrail/lookup-events.ts'
import { NotReady } from './compose-pools.ts'
import type { Services } from './compose-services.ts'
import { serviceProcessesOf } from './config/schema.ts'

export interface ApiListener extends AsyncDisposable {
  /** `https://host:port` of the KMS API, or `http://…` without a certificate. */
  readonly endpoint: string
  /** Connections that are open. */
  connections(): Promise<number>
  /** Reads the files of the certificate again; absent where plain HTTP is served. */
  readonly reloadCertificate?: () => void
}

export interface ListenerParts {
  readonly services: Services
  readonly listen: { readonly host: string; readonly port: number }
  readonly throttle: Throttling
  readonly audit: RequestRecorder
  readonly lookup: Lookup
}

type Address = { readonly host: string; readonly port: number } | { readonly path: string }

const DRAIN_MS = 10_000

/** Begins to listen. Disposing of it drains: no new connection, the requests in hand answered. Throws {@link NotReady}. */
export async function listenForRequests(parts: ListenerParts): Promise<ApiListener> {
  const { services, listen, throttle, audit, lookup } = parts
  const { configuration, clock, logger, metrics, tracing, store, pools } = services
  const { keyring, imports, secrets, sessions, accessKeyUses, keyUses, access } = services
  const { requests: _, ...quotas } = configuration.quotas
  const { tls } = configuration.listen
  await using resources = new AsyncDisposableStack()
  const rates = sharedBy(serviceProcessesOf(configuration.listen.processes), configuration.audit.unprovenRefusals)
  const refusalLines = resources.use(new RefusalLines({ rates, logger, clock }))
  const certificate = tls.keyFile === '' ? undefined : new Certificate(tls, { logger, metrics })
  const api = createApiServer(
    {
      services: { store, keyring, imports, keyUses, access, quotas, clock },
      ...{ secrets, sessions, accessKeyUses, throttle, regions: new Set(pools.keys()) },
      ...{ audit, lookup, metrics, logger, refusalLines, tracing },
    },
    certificate?.options,
  )
  const renew = (options: SecureContextOptions) => {
    if (api instanceof TlsServer) api.setSecureContext(options)
  }
  if (certificate !== undefined) resources.defer(certificate.watch(renew))
  await listenOn(api, listen)
  resources.defer(() => drain(api))
  const owned = resources.move()
  return {
    endpoint: addressOf(api),
    connections: () => countConnections(api),
    ...(certificate === undefined ? {} : { reloadCertificate: () => certificate.reload(renew) }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  }
}

/** Throws {@link NotReady} when the port cannot be had. */
export async function listenOn<S extends Server | TlsServer>(server: S, where: Address): Promise<S> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(explain(error, where)))
    server.listen(where, resolve)
  })
  return server
}

export async function drain(server: Server | TlsServer): Promise<void> {
  const closed = new Promise(resolve => server.close(resolve))
  server.closeIdleConnections()
  const impatience = setTimeout(() => server.closeAllConnections(), DRAIN_MS)
  await closed
  clearTimeout(impatience)
}

export function addressOf(server: Server | TlsServer): string {
  const { address, family, port } = server.address() as AddressInfo
  const scheme = server instanceof TlsServer ? 'https' : 'http'
  return `${scheme}://${family === 'IPv6' ? `[${address}]` : address}:${port}`
}

function explain(error: NodeJS.ErrnoException, where: Address): Error {
  if (!('port' in where)) return error
  if (error.code === 'EADDRINUSE')
    return new NotReady(`port ${where.port} on ${where.host} is taken by another process`)
  if (error.code === 'EACCES') return new NotReady(`port ${where.port} on ${where.host} may not be used by this user`)
  return error
}

function countConnections(server: Server | TlsServer): Promise<number> {
  return new Promise((resolve, reject) => {
    server.getConnections((error, count) => (error === null ? resolve(count) : reject(error)))
  })
}
