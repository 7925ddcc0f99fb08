/**
 * The admin socket: how the `strongroom` command talks to a running daemon. It is a unix socket in the state folder, mode
 * 0600: whoever may open it is the operator, so it asks for no credential.
 */
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { z } from 'zod'
import type { HsmPool } from '../hsm/pool/pool.ts'
import { type Identities, IdentityRefused } from '../keyring/identities.ts'
import type { ResidentReport } from '../keyring/resident-report.ts'
import { KmsError } from '../model/errors.ts'
import { type AccessKey, FULL_ACCESS_POLICY_NAME, type Identity } from '../model/identity.ts'
import type { Logger } from '../telemetry/logger.ts'
import { statusOf } from './health.ts'

const BODY_MAX = '64kb'
const account = z.string().regex(/^\d{12}$/, 'must have 12 digits')
const name = z.string().min(1).max(64)
const ofIdentity = z.strictObject({ account, name })
const ofAccessKey = ofIdentity.extend({ accessKeyId: z.string().max(64) })

/** The requests that the socket answers, each with the shape of its body. */
const shapes = {
  'identity/create': ofIdentity.extend({ path: z.string().max(512).optional(), fullAccess: z.boolean() }),
  'identity/list': z.strictObject({ account }),
  'identity/delete': ofIdentity,
  'access-key/create': ofIdentity,
  'access-key/list': ofIdentity,
  'access-key/disable': ofAccessKey,
  'access-key/enable': ofAccessKey,
  'access-key/delete': ofAccessKey,
  status: z.strictObject({}),
  'resident-keys': z.strictObject({}),
  'hsm/unlock': z.strictObject({ region: z.string().max(64), hsm: z.string().max(64) }),
} as const

/** Requests that change nothing, and leave no line in the log. */
const READ_ONLY: ReadonlySet<keyof typeof shapes> = new Set(['status', 'resident-keys'])

/** What the operator asked for cannot be done; the message says why. */
class RequestRefused extends Error {}

export type AdminRequestName = keyof typeof shapes
export type AdminRequest<N extends AdminRequestName> = z.infer<(typeof shapes)[N]>

export function createAdminSocket({
  identities,
  pools,
  residents,
  logger,
}: {
  identities: Identities
  pools: ReadonlyMap<string, HsmPool>
  /** Looks into the tokens whose HBKs reside there. */
  residents: { report(): Promise<ResidentReport[]> }
  logger: Logger
}): Express {
  const answers: { readonly [N in AdminRequestName]: (request: AdminRequest<N>) => Promise<unknown> } = {
    'identity/create': async request => describeIdentity(await identities.create(request)),
    'identity/list': async request => (await identities.list(request.account)).map(describeIdentity),
    'identity/delete': async request => describeIdentity(await identities.remove(request.account, request.name)),
    'access-key/create': request => identities.createAccessKey(request.account, request.name),
    'access-key/list': async request =>
      (await identities.listAccessKeys(request.account, request.name)).map(describeAccessKey),
    'access-key/disable': async request => {
      await identities.setAccessKeyActive(request.account, request.name, request.accessKeyId, false)
      return {}
    },
    'access-key/enable': async request => {
      await identities.setAccessKeyActive(request.account, request.name, request.accessKeyId, true)
      return {}
    },
    'access-key/delete': async request => {
      await identities.removeAccessKey(request.account, request.name, request.accessKeyId)
      return {}
    },
    'resident-keys': async () => (await residents.report()).map(({ unmade: _, ...report }) => report),
    status: async () => ({ pid: process.pid, ...statusOf(pools.values()) }),
    'hsm/unlock': async ({ region, hsm }) => {
      const pool = pools.get(region)
      if (pool === undefined) throw new RequestRefused(`no region ${region} is served`)
      if (!pool.unlock(hsm)) throw new RequestRefused(`region ${region} has no HSM ${hsm} whose PIN was refused`)
      return { region, hsm }
    },
  }

  const handler =
    (requestName: AdminRequestName): RequestHandler =>
    async (request, response) => {
      const parsed = shapes[requestName].parse(request.body)
      response.json(await (answers[requestName] as (request: unknown) => Promise<unknown>)(parsed))
      if (!READ_ONLY.has(requestName)) logger.info('admin request', { request: requestName, ...parsed })
    }

  const fail: ErrorRequestHandler = (error: unknown, request, response, _next) => {
    const refusal = refusalOf(error)
    if (refusal === undefined) logger.error('admin request failed', { request: request.path, error })
    response
      .status(refusal === undefined ? 500 : 400)
      .json({ error: refusal ?? 'internal error; the log of the daemon says why' })
  }

  const app = express()
  app.disable('x-powered-by')
  app.use(express.json({ limit: BODY_MAX, strict: true }))
  for (const requestName of Object.keys(shapes) as AdminRequestName[]) app.post(`/${requestName}`, handler(requestName))
  app.use((_request, response) => {
    response.status(404).json({ error: 'unknown request: is the command of the same version as the daemon?' })
  })
  app.use(fail)
  return app
}

/** What an operator may be told of an error; undefined for faults of our own. */
function refusalOf(error: unknown): string | undefined {
  if (error instanceof IdentityRefused || error instanceof RequestRefused) return error.message
  if (error instanceof KmsError && error.code !== 'KMSInternalException') return error.message
  if (error instanceof z.ZodError)
    return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  return undefined
}

function describeIdentity({ principalId, kind, arn, name: identityName, path, policies, createdAtMs }: Identity) {
  return {
    name: identityName,
    kind,
    arn,
    path,
    principalId,
    fullAccess: policies.has(FULL_ACCESS_POLICY_NAME),
    created: new Date(createdAtMs).toISOString(),
  }
}

function describeAccessKey({ id, active, createdAtMs }: AccessKey) {
  return { accessKeyId: id, status: active ? 'active' : 'inactive', created: new Date(createdAtMs).toISOString() }
}
