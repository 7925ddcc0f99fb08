/** The admin listener: metrics, health and readiness, on loopback, without a credential; nothing that changes anything. */
import express, { type Express } from 'express'
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { Store } from '../store/store.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { readinessOf } from './health.ts'

export function createAdminListener({
  metrics,
  pools,
  store,
  obstacles,
}: {
  metrics: Metrics
  pools: ReadonlyMap<string, HsmPool>
  store: Store
  /** What is in the way of serving, besides tokens. */
  obstacles: () => readonly string[]
}): Express {
  const app = express()
  let reportedReads = 0
  app.disable('x-powered-by')
  app.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' })
  })
  app.get('/readyz', (_request, response) => {
    const readiness = readinessOf(pools.values(), obstacles())
    response.status(readiness.ready ? 200 : 503).json(readiness)
  })
  app.get('/metrics', async (_request, response) => {
    for (const pool of pools.values()) pool.report()
    metrics.storeReads.inc(store.hot.databaseReads - reportedReads)
    reportedReads = store.hot.databaseReads
    metrics.storeCached.set(store.hot.size)
    response.type(metrics.registry.contentType).send(await metrics.registry.metrics())
  })
  app.use((_request, response) => {
    response.status(404).json({ error: 'not found: there are /metrics, /healthz and /readyz' })
  })
  return app
}
