/** Whether the principals that policies and grants name are there. */
import type { IdentityKind } from '../model/identity.ts'
import type { Reader } from '../store/store.ts'

const IAM = /^arn:aws:iam::(\d{12}):(user|role)\/(?:[^/]+\/)*([^/]+)$/
const SESSION = /^arn:aws:sts::(\d{12}):assumed-role\/([^/]+)\/[^/]+$/
const ACCOUNT_WIDE = /^arn:aws:(?:iam::\d{12}:root|sts::\d{12}:federated-user\/[^/]+)$/

/**
 * Users and roles must be there, and the role of a session. Accounts are taken as they are: one that no identity belongs to
 * gives nobody a right. False too for what is no ARN of a principal.
 */
export async function principalExists(reader: Reader, arn: string): Promise<boolean> {
  if (ACCOUNT_WIDE.test(arn)) return true
  const [, ofSession, role] = SESSION.exec(arn) ?? []
  if (ofSession !== undefined && role !== undefined) {
    return (await reader.findIdentity(ofSession, 'role', role)) !== undefined
  }
  const [, account, kind, name] = IAM.exec(arn) ?? []
  if (account === undefined || name === undefined) return false
  return (await reader.findIdentity(account, kind as IdentityKind, name))?.arn === arn
}
