/** The admin listener: metrics, health and readiness, on loopback, without a credential; nothing that changes anything. */
import express, { type Express } from 'express'
import { readinessOf } from './health.ts'
import { Scrape, type ScrapeParts } from './scrape.ts'

export interface AdminListenerParts extends ScrapeParts {
  readonly audit: { readonly failure: { readonly reason: string } | undefined; report(): void }
  /** Why the key store cannot be changed, by whichever process; undefined when it can. */
  readonly unwritable: () => string | undefined
  /** What is in the way of serving, besides tokens and audit log. */
  readonly obstacles: () => readonly string[]
}

export function createAdminListener(parts: AdminListenerParts): Express {
  const { metrics, pools, audit, unwritable, obstacles } = parts
  const app = express()
  const scrape = new Scrape(parts)
  app.disable('x-powered-by')
  app.get('/healthz', (_request, response) => {
    response.json({ status: 'ok' })
  })
  app.get('/readyz', (_request, response) => {
    const store = { unwritable: unwritable() }
    const readiness = readinessOf(pools.values(), { audit, store, obstacles: obstacles() })
    response.status(readiness.ready ? 200 : 503).json(readiness)
  })
  app.get('/metrics', async (_request, response) => {
    audit.report()
    response.type(metrics.registry.contentType).send(await scrape.read())
  })
  app.use((_request, response) => {
    response.status(404).json({ error: 'not found: there are /metrics, /healthz and /readyz' })
  })
  return app
}
