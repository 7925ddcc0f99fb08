/**
 * EKT records, written and verified with a domain's MAC key. What a record says counts only once the token has said that its MAC
 * is good, and only in the domain and region that it was made for (security.md 2.5).
 */
import { decodeEkt, type EktFields, ektMacInput, encodeEkt } from '../../formats/ekt.ts'
import { HsmFault, STALE_DOMAIN } from '../contract/fault.ts'
import type { SessionHandle } from './cryptoki.ts'
import type { Domains, HostDomain } from './domains.ts'
import type { HbkRequest } from './hbk.ts'
import type { Sessions } from './sessions.ts'

/** What only the maker of an HBK knows of it; the rest of its record is the request's and the domain's. */
export type MadeFields = Pick<
  EktFields,
  'mid' | 'wrapScheme' | 'kdf' | 'tokenKeyType' | 'trueLength' | 'spkiDigest' | 'body'
>

export class EktRecords {
  readonly #sessions: Sessions
  readonly #domains: Domains

  constructor({ sessions, domains }: { sessions: Sessions; domains: Domains }) {
    this.#sessions = sessions
    this.#domains = domains
  }

  /** The record of a new HBK, with the MAC over everything that the request, its domain and its maker say of it. */
  write(
    session: SessionHandle,
    { account, kid, keySpec, keyUsage }: HbkRequest,
    made: MadeFields,
    origin: EktFields['origin'] = 'AWS_KMS',
  ): Buffer {
    const { keys } = this.#domains.of({ kid, keyUsage })
    const fields: EktFields = {
      domainId: keys.id,
      dkVersion: keys.dkVersion,
      macVersion: keys.macVersion,
      region: keys.region,
      ...{ account, kid, keySpec, keyUsage },
      origin,
      multiRegion: this.#isMultiRegion(keys),
      ...made,
    }
    return encodeEkt(fields, keys.sign(session, ektMacInput(fields)))
  }

  /** The fields of a record of this host's domains whose MAC the token says to be good. Throws HsmFault `key`, and `token` STALE_DOMAIN. */
  verified(record: Buffer): EktFields {
    const { fields, mac } = decode(record)
    const { keys } = this.#domains.of(fields)
    if (!fields.domainId.equals(keys.id)) throw new HsmFault('key', 'the EKT belongs to another domain')
    if (!keys.knowsMac(fields.macVersion)) throw new HsmFault('token', STALE_DOMAIN)
    const verified = this.#sessions.withSession(session =>
      keys.verifies(session, fields.macVersion, ektMacInput(fields), mac),
    )
    if (!verified) throw new HsmFault('key', 'the MAC of the EKT record does not verify')
    if (fields.region !== keys.region || fields.multiRegion !== this.#isMultiRegion(keys))
      throw new HsmFault('key', 'the EKT belongs to another region')
    return fields
  }

  #isMultiRegion(keys: HostDomain['keys']): boolean {
    return keys === this.#domains.multiRegion?.keys
  }
}

function decode(record: Buffer): ReturnType<typeof decodeEkt> {
  try {
    return decodeEkt(record)
  } catch (error) {
    throw new HsmFault('key', 'not an EKT record', { cause: error })
  }
}
