/** Who did it, as `userIdentity` of CloudTrail's record says it. Worked out once for a caller, as long as it is the same. */
import type { Caller } from '../model/caller.ts'

interface Known {
  readonly accessKeyId: string
  readonly json: string
}

const known = new WeakMap<Caller, Known>()

/** JSON of a caller that has proved itself by this access key. */
export function identityOf(caller: Caller, accessKeyId: string): string {
  const held = known.get(caller)
  if (held?.accessKeyId === accessKeyId) return held.json
  const json = JSON.stringify(describe(caller, accessKeyId))
  known.set(caller, { accessKeyId, json })
  return json
}

/** JSON of somebody who has proved nothing; the access key id is a claim. */
export function unproven(accessKeyId: string | undefined): string {
  return JSON.stringify({ type: 'Unknown', ...(accessKeyId === undefined ? {} : { accessKeyId }) })
}

/** JSON of this program, which acts by itself on what an account owns. */
export function byItself(account: string): string {
  return `{"accountId":${JSON.stringify(account)},"invokedBy":"AWS Internal"}`
}

/** JSON of a person at the machine itself, who is known to the operating system. */
export function operator(userName: string, details: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ type: 'Operator', userName, ...details })
}

/** JSON of the daemon, in what it says of itself. */
export const ITSELF = operator('strongroom')

function describe(caller: Caller, accessKeyId: string): Record<string, unknown> {
  const { kind, arn, account: accountId, userId: principalId, userName, sourceIdentity } = caller
  const common = { principalId, arn, accountId, accessKeyId }
  if (kind === 'root') return { type: 'Root', ...common }
  if (kind === 'user') return { type: 'IAMUser', ...common, userName }
  if (kind === 'service') return { type: 'AWSService', ...common, invokedBy: caller.arn }
  const [roleId] = principalId.split(':')
  return {
    ...{ type: 'AssumedRole', ...common },
    sessionContext: {
      sessionIssuer: {
        ...{ type: 'Role', principalId: roleId, arn: caller.principalArn, accountId },
        userName: caller.principalArn.split('/').at(-1),
      },
      attributes: {
        ...(caller.tokenIssuedAtMs === undefined ? {} : { creationDate: seconds(caller.tokenIssuedAtMs) }),
        mfaAuthenticated: 'false',
      },
      ...(sourceIdentity === undefined ? {} : { sourceIdentity }),
    },
  }
}

/** CloudTrail's moments: UTC, without a fraction. */
export function seconds(ms: number): string {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}
