/** A domain in one token: its keys are made, looked at and destroyed. */
import pkcs11 from 'pkcs11js'
import type { CeremonyArgs, DomainForks, DomainInToken, KeyInToken } from '../../contract/ceremony.ts'
import { HsmFault } from '../../contract/fault.ts'
import { Anchors } from '../anchors.ts'
import { attributes, findObjects } from '../cryptoki.ts'
import {
  dkGen,
  dkUse,
  domainKeyCheckValue,
  findDomainObject,
  macKeyCheckValue,
  macSign,
  macVerify,
} from '../domain-keys.ts'
import { auditPublicKey, ensureAuditKey, isOfDomain } from './audit-key.ts'
import { enforcesBarrier, enforcesResidence } from './barrier.ts'
import type { CeremonyToken } from './ceremony-token.ts'
import { generateMacVersionByCopy, generateVersion } from './sealed-keys.ts'

/** Those whose objects have a CKA_ID. */
const KEY_CLASSES = [pkcs11.CKO_SECRET_KEY, pkcs11.CKO_PRIVATE_KEY, pkcs11.CKO_PUBLIC_KEY]

/** Generates the keys that are named. Throws HsmFault. */
export function createDomain(opened: CeremonyToken, domain: DomainForks): DomainInToken {
  const { token, session } = opened
  const { domainId, domainKeys, macKeys } = domain
  const mechanism = opened.wrapMechanismFor(domain)
  if (mechanism === undefined) {
    if (domainKeys.length > 0) throw new HsmFault('input', `token "${token.label}" cannot wrap: it has no domain key`)
    for (const version of macKeys) generateMacVersionByCopy(token, session, domainId, version)
  } else {
    for (const version of domainKeys) generateVersion(token, session, 'dk', domainId, version, mechanism)
    for (const version of macKeys) generateVersion(token, session, 'mac', domainId, version, mechanism)
  }
  ensureAuditKey(opened, domain)
  return describeDomain(opened, domain)
}

/** Which of the keys that are named the token holds, with their check values, and whether it enforces what seals them. */
export function describeDomain(opened: CeremonyToken, domain: DomainForks): DomainInToken {
  const { token, session } = opened
  const mechanism = opened.wrapMechanismFor(domain)
  const { domainId } = domain
  const find = (name: string, forkId: string) =>
    findDomainObject(token.cryptoki, session, name, domainId, forkId, pkcs11.CKO_SECRET_KEY)
  const enforced: (() => boolean)[] = []
  const domainKeys = domain.domainKeys.map(({ version, forkId }): KeyInToken => {
    const gen = find(dkGen(version), forkId)
    const use = find(dkUse(version), forkId)
    if (gen !== undefined && use !== undefined && mechanism !== undefined)
      enforced.push(() => enforcesBarrier(token, session, { gen, use }, mechanism))
    const checkValue =
      gen === undefined || mechanism === undefined ? null : domainKeyCheckValue(token.cryptoki, session, gen, mechanism)
    return { version, forkId, makes: gen !== undefined, uses: use !== undefined, checkValue }
  })
  const macKeys = domain.macKeys.map(({ version, forkId }): KeyInToken => {
    const sign = find(macSign(version), forkId)
    const verify = find(macVerify(version), forkId)
    if (sign !== undefined && verify !== undefined && mechanism === undefined)
      enforced.push(() => enforcesResidence(token, session, { sign, verify }))
    const checkValue = sign === undefined ? null : macKeyCheckValue(token.cryptoki, session, sign)
    return { version, forkId, makes: sign !== undefined, uses: verify !== undefined, checkValue }
  })
  return {
    domainKeys,
    macKeys,
    auditPublicKey: auditPublicKey(opened, domainId)?.toString('base64') ?? null,
    sealed: enforced.length === 0 ? null : enforced.every(isEnforced => isEnforced()),
  }
}

/** The objects are looked for again afterwards: what a token says it destroyed must be gone. Throws HsmFault. */
export function destroyVersions(
  { token, session }: CeremonyToken,
  { domain, objects }: CeremonyArgs<'destroyVersions'>,
): { destroyed: number } {
  const find = () => {
    const handleOf = (name: string, forkId: string) =>
      findDomainObject(token.cryptoki, session, name, domain.domainId, forkId) ?? []
    const dk = domain.domainKeys.flatMap(({ version, forkId }) => [
      handleOf(dkGen(version), forkId),
      objects === 'all' ? handleOf(dkUse(version), forkId) : [],
    ])
    const mac = domain.macKeys.flatMap(({ version, forkId }) => [
      handleOf(macSign(version), forkId),
      objects === 'all' ? handleOf(macVerify(version), forkId) : [],
    ])
    return [...dk, ...mac].flat()
  }
  const handles = find()
  for (const handle of handles) token.cryptoki.C_DestroyObject(session, handle)
  if (find().length > 0) throw new HsmFault('token', `token "${token.label}" keeps objects that it was told to destroy`)
  return { destroyed: handles.length }
}

/** Destroys every object of the domain, whatever it is. */
export function discardDomain(opened: CeremonyToken, { domainId }: { domainId: string }): { destroyed: number } {
  const { token, session } = opened
  const all = KEY_CLASSES.flatMap(CLASS => findObjects(token.cryptoki, session, attributes({ CLASS, TOKEN: true })))
  const handles = all.filter(handle => isOfDomain(opened, domainId, handle))
  for (const handle of handles) token.cryptoki.C_DestroyObject(session, handle)
  const forgotten = new Anchors(token.cryptoki, Buffer.from(domainId, 'hex')).forget(session)
  return { destroyed: handles.length + forgotten }
}
