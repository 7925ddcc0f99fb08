/**
 * The admin socket: how the `strongroom` command talks to a running daemon. It is a unix socket in the state folder, mode
 * 0600: whoever may open it is the operator, so it asks for no credential.
 */
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { z } from 'zod'
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { AccessKeyUses } from '../identities/access-key-uses.ts'
import type { AccessKeys } from '../identities/access-keys.ts'
import type { Accounts } from '../identities/accounts.ts'
import type { Applying } from '../identities/apply.ts'
import type { Identities } from '../identities/identities.ts'
import type { ManagedPolicies } from '../identities/managed-policies.ts'
import { IdentityRefused } from '../identities/refused.ts'
import { KmsError } from '../model/errors.ts'
import { AlreadyStored, ChangedMeanwhile } from '../store/faults.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Explanations } from './explanations.ts'
import { accessKeyRequests } from './requests/access-keys.ts'
import { accountRequests } from './requests/accounts.ts'
import { authzRequests } from './requests/authz.ts'
import { declarationRequests } from './requests/declaration.ts'
import { identityRequests } from './requests/identities.ts'
import { policyRequests } from './requests/policies.ts'
import type { AdminRequestDefinition } from './requests/request.ts'
import { statusRequests } from './requests/status.ts'

/** A declaration of a large account is the largest request. */
const BODY_MAX = '4mb'

export interface AdminSocketParts {
  readonly accounts: Accounts
  readonly identities: Identities
  readonly policies: ManagedPolicies
  readonly accessKeys: AccessKeys
  readonly accessKeyUses: AccessKeyUses
  readonly applying: Applying
  readonly explanations: Explanations
  readonly pools: ReadonlyMap<string, HsmPool>
  readonly logger: Logger
}

function requestsOf(parts: AdminSocketParts) {
  const { accounts, identities, policies, accessKeys, accessKeyUses, applying, explanations, pools } = parts
  return {
    ...accountRequests(accounts),
    ...identityRequests(identities),
    ...policyRequests(policies),
    ...accessKeyRequests(accessKeys, accessKeyUses),
    ...declarationRequests(applying),
    ...authzRequests(explanations),
    ...statusRequests(pools),
  }
}

type AdminRequests = ReturnType<typeof requestsOf>
export type AdminRequestName = keyof AdminRequests
/** The body as it is sent: what has a default may be left out. */
export type AdminRequest<N extends AdminRequestName> = z.input<AdminRequests[N]['shape']>

export function createAdminSocket(parts: AdminSocketParts): Express {
  const { logger } = parts
  const handler =
    (name: string, { shape, readOnly, answer }: AdminRequestDefinition): RequestHandler =>
    async (request, response) => {
      const body = shape.parse(request.body)
      response.json(await answer(body))
      if (!readOnly) logger.info('admin request', { request: name, ...subjectOf(body) })
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
  for (const [name, definition] of Object.entries(requestsOf(parts)))
    app.post(`/${name}`, handler(name, definition as AdminRequestDefinition))
  app.use((_request, response) => {
    response.status(404).json({ error: 'unknown request: is the command of the same version as the daemon?' })
  })
  app.use(fail)
  return app
}

/** The short members of a body: who and what, without the documents. */
function subjectOf(body: unknown): Record<string, unknown> {
  const short = (value: unknown) => typeof value !== 'object' && !(typeof value === 'string' && value.length > 128)
  return Object.fromEntries(Object.entries(body as object).filter(([, value]) => short(value)))
}

/** What an operator may be told of an error; undefined for faults of our own. */
function refusalOf(error: unknown): string | undefined {
  if (error instanceof IdentityRefused) return error.message
  if (error instanceof AlreadyStored) return error.message
  if (error instanceof ChangedMeanwhile) return `${error.message}: try again`
  if (error instanceof KmsError && error.code !== 'KMSInternalException') return error.message
  if (error instanceof z.ZodError)
    return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  return undefined
}
