/** The public listener: an Express app with one route, for `POST /` is all that the AWS JSON protocol uses. */
import express, { type Express } from 'express'
import type { Secrets } from '../keyring/secrets.ts'
import { KmsError } from '../model/errors.ts'
import type { Services } from '../operations/operation.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Metrics } from '../telemetry/metrics.ts'
import { Authenticator } from './authenticate.ts'
import { Road } from './pipeline.ts'
import { encodeError } from './protocol.ts'

const SERVICES: ReadonlySet<string> = new Set(['kms'])

export function createApi({
  services,
  secrets,
  regions,
  metrics,
  logger,
}: {
  services: Services
  secrets: Secrets
  regions: ReadonlySet<string>
  metrics: Metrics
  logger: Logger
}): Express {
  const served = { regions, services: SERVICES }
  const authenticator = new Authenticator({ hot: services.store.hot, secrets, served, clock: services.clock })
  const road = new Road({ authenticator, services, metrics, logger })
  const app = express()
  app.disable('x-powered-by')
  app.disable('etag')
  app.set('query parser', false)
  app.post('/', (request, response) => road.travel(request, response))
  app.use((_request, response) => {
    const { body } = encodeError(new KmsError('UnknownOperationException'))
    response.status(404).type('application/x-amz-json-1.1').send(body)
  })
  return app
}
