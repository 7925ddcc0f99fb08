/** The principals that policies and grants name, as far as they are there. */
import type { PrincipalIds } from '../model/caller.ts'
import type { Identity, IdentityKind } from '../model/identity.ts'
import type { Reader } from '../store/store.ts'

const IAM = /^arn:aws:iam::(\d{12}):(user|role)\/(?:[^/]+\/)*([^/]+)$/
const ROOT = /^arn:aws:iam::(\d{12}):root$/
const SESSION = /^arn:aws:sts::(\d{12}):assumed-role\/([^/]+)\/[^/]+$/
const FEDERATED = /^arn:aws:sts::\d{12}:federated-user\/[^/]+$/
const SERVICE = /^([a-z0-9-]+)\.amazonaws\.com$/

/** The identity that an ARN or a service's name means; of a session its role. */
export async function findPrincipal(reader: Reader, arn: string): Promise<Identity | undefined> {
  const [, ofSession, role] = SESSION.exec(arn) ?? []
  if (ofSession !== undefined && role !== undefined) return reader.findIdentity(ofSession, 'role', role)
  const [, account, kind, name] = IAM.exec(arn) ?? []
  if (account !== undefined && name !== undefined) {
    const found = await reader.findIdentity(account, kind as IdentityKind, name)
    return found?.arn === arn ? found : undefined
  }
  const [, ofRoot] = ROOT.exec(arn) ?? []
  if (ofRoot !== undefined) return (await reader.listIdentities(ofRoot, 'root'))[0]
  const [, service] = SERVICE.exec(arn) ?? []
  return service === undefined ? undefined : reader.findService(service)
}

/**
 * Whom ARNs mean. Users and roles must be there, and the role of a session; accounts are taken as they are: one that no
 * identity belongs to gives nobody a right. Returns the first ARN that means nobody instead, if there is one.
 */
export async function identify(reader: Reader, arns: Iterable<string>): Promise<PrincipalIds | { unknown: string }> {
  const ids = new Map<string, string>()
  for (const arn of arns) {
    if (ROOT.test(arn) || FEDERATED.test(arn)) continue
    const found = arn.startsWith('arn:') ? await findPrincipal(reader, arn) : undefined
    if (found === undefined) return { unknown: arn }
    ids.set(arn, found.principalId)
  }
  return ids
}
