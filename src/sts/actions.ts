/** The actions of STS that are served, by name. */
import { AssumeRole } from './AssumeRole.ts'
import type { StsAction } from './action.ts'
import { GetCallerIdentity } from './GetCallerIdentity.ts'

export const ACTIONS: ReadonlyMap<string, StsAction> = new Map(
  [AssumeRole, GetCallerIdentity].map(action => [action.name, action]),
)
