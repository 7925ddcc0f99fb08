/** The audit key of a token: its own, made with the domain. It belongs to no version; its CKA_ID ends with one all the same. */
import pkcs11 from 'pkcs11js'
import type { DomainForks } from '../../contract/ceremony.ts'
import { HsmFault } from '../../contract/fault.ts'
import { spkiOfP256 } from '../audit-key.ts'
import { attributes, findObjects, type ObjectHandle } from '../cryptoki.ts'
import { AUDIT, labelOf } from '../domain-keys.ts'
import type { CeremonyToken } from './ceremony-token.ts'
import { generateAuditKey, readEcPoint } from './sealed-keys.ts'

const DOMAIN_ID_BYTES = 16

/** Makes the key where the domain is audited and the token has none. Throws HsmFault. */
export function ensureAuditKey(opened: CeremonyToken, domain: DomainForks): void {
  const { domainId, audited, domainKeys, macKeys } = domain
  const first = domainKeys[0] ?? macKeys[0]
  if (!audited || first === undefined || findAuditKey(opened, domainId) !== undefined) return
  generateAuditKey(opened.token, opened.session, domainId, first.forkId)
}

/** SubjectPublicKeyInfo, DER; undefined when the token has no such key. Throws HsmFault for more than one. */
export function auditPublicKey(opened: CeremonyToken, domainId: string): Buffer | undefined {
  const key = findAuditKey(opened, domainId)
  return key === undefined ? undefined : spkiOfP256(readEcPoint(opened.token, opened.session, key))
}

/** Whether an object's CKA_ID says that it is of this domain. */
export function isOfDomain({ token, session }: CeremonyToken, domainId: string, handle: ObjectHandle): boolean {
  const [attribute] = token.cryptoki.C_GetAttributeValue(session, handle, [{ type: pkcs11.CKA_ID }])
  return Buffer.from(attribute?.value as Buffer)
    .subarray(0, DOMAIN_ID_BYTES)
    .equals(Buffer.from(domainId, 'hex'))
}

function findAuditKey(opened: CeremonyToken, domainId: string): ObjectHandle | undefined {
  const { token, session } = opened
  const template = attributes({ CLASS: pkcs11.CKO_PUBLIC_KEY, LABEL: labelOf(AUDIT) })
  const all = findObjects(token.cryptoki, session, template)
  const [found, ...others] = all.filter(handle => isOfDomain(opened, domainId, handle))
  if (others.length > 0) throw new HsmFault('token', `the token holds ${others.length + 1} objects ${labelOf(AUDIT)}`)
  return found
}
