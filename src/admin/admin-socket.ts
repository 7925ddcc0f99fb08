/**
 * The admin socket: how the `strongroom` command talks to a running daemon. It is a unix socket in the state folder, mode
 * 0600: whoever may open it is the operator, so it asks for no credential.
 */
import { userInfo } from 'node:os'
import express, { type ErrorRequestHandler, type Express, type RequestHandler } from 'express'
import { z } from 'zod'
import { operator } from '../audit/identity.ts'
import type { AuditRecorder } from '../audit/recorder.ts'
import { AuditUnavailable } from '../audit/unavailable.ts'
import type { HsmPool } from '../hsm/pool/pool.ts'
import type { AccessKeyUses } from '../identities/access-key-uses.ts'
import type { AccessKeys } from '../identities/access-keys.ts'
import type { Accounts } from '../identities/accounts.ts'
import type { Applying } from '../identities/apply.ts'
import type { Identities } from '../identities/identities.ts'
import type { ManagedPolicies } from '../identities/managed-policies.ts'
import { IdentityRefused } from '../identities/refused.ts'
import { KmsError } from '../model/errors.ts'
import { AlreadyStored, ChangedMeanwhile, StoreUnwritable } from '../store/faults.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Explanations } from './explanations.ts'
import { accessKeyRequests } from './requests/access-keys.ts'
import { accountRequests } from './requests/accounts.ts'
import { auditRequests } from './requests/audit.ts'
import { authzRequests } from './requests/authz.ts'
import { declarationRequests } from './requests/declaration.ts'
import { identityRequests } from './requests/identities.ts'
import { policyRequests } from './requests/policies.ts'
import { type AdminRequestDefinition, RequestRefused } from './requests/request.ts'
import { type OtherProcesses, type Residents, statusRequests } from './requests/status.ts'

/** A declaration of a large account is the largest request. */
const BODY_MAX = '4mb'
/** Characters of a body that are recorded. */
const RECORDED_BODY_MAX = 100 * 1_024

export interface AdminSocketParts {
  readonly accounts: Accounts
  readonly identities: Identities
  readonly policies: ManagedPolicies
  readonly accessKeys: AccessKeys
  readonly accessKeyUses: AccessKeyUses
  readonly applying: Applying
  readonly explanations: Explanations
  readonly pools: ReadonlyMap<string, HsmPool>
  readonly residents: Residents
  /** The other processes of the daemon, when there are any. */
  readonly others?: OtherProcesses | undefined
  readonly audit: AuditRecorder
  readonly events: Parameters<typeof auditRequests>[0]
  readonly logger: Logger
}

function requestsOf(parts: AdminSocketParts) {
  const { accounts, identities, policies, accessKeys, accessKeyUses, applying, explanations, pools, residents } = parts
  return {
    ...accountRequests(accounts),
    ...identityRequests(identities),
    ...policyRequests(policies),
    ...accessKeyRequests(accessKeys, accessKeyUses),
    ...declarationRequests(applying),
    ...authzRequests(explanations),
    ...statusRequests(pools, residents, parts.others),
    ...auditRequests(parts.events),
  }
}

type AdminRequests = ReturnType<typeof requestsOf>
export type AdminRequestName = keyof AdminRequests
/** The body as it is sent: what has a default may be left out. */
export type AdminRequest<N extends AdminRequestName> = z.input<AdminRequests[N]['shape']>

export function createAdminSocket(parts: AdminSocketParts): Express {
  const { logger, audit } = parts
  const identity = operator(userInfo().username, { via: 'admin socket' })
  const handler =
    (name: string, { shape, readOnly, answer }: AdminRequestDefinition): RequestHandler =>
    async (request, response) => {
      const body = shape.parse(request.body)
      if (readOnly) {
        response.json(await answer(body))
        return
      }
      const facts = { name: eventNameOf(name), identity, parameters: recordedBody(body) }
      response.json(await audit.act(facts, () => answer(body)))
      logger.info('admin request', { request: name, ...subjectOf(body) })
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

/** `access-key/create` is `CreateAccessKey`. */
function eventNameOf(request: string): string {
  const words = request
    .split('/')
    .map(part => part.replace(/(?:^|-)([a-z])/g, (_, letter: string) => letter.toUpperCase()))
  return words.reverse().join('')
}

/** All of a body, documents included: it holds no secret. A declaration of a large account is cut to what is short. */
function recordedBody(body: unknown): unknown {
  return JSON.stringify(body).length <= RECORDED_BODY_MAX ? body : { ...subjectOf(body), omitted: 'longer than 100 KB' }
}

/** The short members of a body: who and what, without the documents. */
function subjectOf(body: unknown): Record<string, unknown> {
  const short = (value: unknown) => typeof value !== 'object' && !(typeof value === 'string' && value.length > 128)
  return Object.fromEntries(Object.entries(body as object).filter(([, value]) => short(value)))
}

/** What an operator may be told of an error; undefined for faults of our own. */
function refusalOf(error: unknown): string | undefined {
  if (error instanceof IdentityRefused || error instanceof RequestRefused) return error.message
  if (error instanceof AlreadyStored) return error.message
  if (error instanceof AuditUnavailable) return `it cannot be recorded now, so it is not done: ${error.message}`
  if (error instanceof StoreUnwritable) return error.message
  if (error instanceof ChangedMeanwhile) return `${error.message}: try again`
  if (error instanceof KmsError && error.code !== 'KMSInternalException') return error.message
  if (error instanceof z.ZodError)
    return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  return undefined
}
