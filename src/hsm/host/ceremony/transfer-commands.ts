/**
 * Domain keys on their way from one token to another, and the re-wrap that needs one of them moved once more. The transfer pair
 * and the re-wrap twin are session objects of this process: what is begun here ends with it.
 */
import type { CeremonyArgs, CeremonyResult, DomainForks, DomainInToken } from '../../contract/ceremony.ts'
import { HsmFault } from '../../contract/fault.ts'
import type { OaepHash } from '../../contract/token-profile.ts'
import { faultOf } from '../ckr.ts'
import { DomainKeys, dkUse, findDomainObject, macVerify } from '../domain-keys.ts'
import { oaepMechanism } from '../mechanisms.ts'
import { ensureAuditKey } from './audit-key.ts'
import { type CeremonyToken, pinOf } from './ceremony-token.ts'
import { describeDomain } from './domain-commands.ts'
import { Rewrap } from './rewrap.ts'
import { installVersion, readCheckValue, type UnwrapKey } from './sealed-keys.ts'
import {
  fingerprintOf,
  forgetTransferKeys,
  generateTransferPair,
  type TransferPair,
  trustTransferKey,
  wrapForTransfer,
} from './transfer.ts'

export class TransferCommands {
  readonly #opened: CeremonyToken
  #pair: TransferPair | undefined
  #rewrap: Rewrap | undefined

  constructor(opened: CeremonyToken) {
    this.#opened = opened
  }

  begin(): CeremonyResult<'beginTransfer'> {
    const { token, session } = this.#opened
    this.#pair = generateTransferPair(token, session)
    return this.#pair.publicHalf
  }

  proveOfficer(args: CeremonyArgs<'proveOfficer'>): Record<string, never> {
    const { token, session } = this.#opened
    this.#opened.asOfficer(pinOf(args.officerPin), () => forgetTransferKeys(token, session))
    return {}
  }

  /** The officer and the user cannot be logged in at once: the officer marks, the user wraps, the officer removes. */
  export(args: CeremonyArgs<'exportDomain'>): CeremonyResult<'exportDomain'> {
    const { token, session } = this.#opened
    const officerPin = args.officerPin && pinOf(args.officerPin)
    this.#opened.asOfficer(officerPin, () => {
      forgetTransferKeys(token, session)
      trustTransferKey(token, session, args.transferKey)
    })
    try {
      const { domainId, domainKeys, macKeys } = args.domain
      const handleOf = (name: string, forkId: string) => {
        const handle = findDomainObject(token.cryptoki, session, name, domainId, forkId)
        if (handle === undefined) throw new HsmFault('token', `token "${token.label}" does not hold ${name}`)
        return handle
      }
      const handles = [
        ...domainKeys.map(({ version, forkId }) => handleOf(dkUse(version), forkId)),
        ...macKeys.map(({ version, forkId }) => handleOf(macVerify(version), forkId)),
      ]
      const { oaepHash, wrapped } = wrapForTransfer(token, session, args.transferKey, handles)
      return { oaepHash, domainKeys: wrapped.slice(0, domainKeys.length), macKeys: wrapped.slice(domainKeys.length) }
    } finally {
      this.#opened.asOfficer(officerPin, () => forgetTransferKeys(token, session))
    }
  }

  import({ domain, makes, transfer }: CeremonyArgs<'importDomain'>): DomainInToken {
    const { token, session } = this.#opened
    const mechanism = this.#opened.wrapMechanismFor(domain)
    const received = this.#receive(pair => {
      const install = (kind: 'dk' | 'mac', versions: DomainForks['domainKeys'], blobs: readonly string[]) =>
        versions.map((version, index) => {
          const unwrap = this.#unwrapWith(pair, transfer.oaepHash, blobs[index])
          const both = version.version >= makes
          installVersion(token, session, kind, domain.domainId, version, unwrap, both ? 'both' : 'uses')
          return both || mechanism === undefined ? null : readCheckValue(token, session, kind, mechanism, unwrap)
        })
      return {
        domainKeys: install('dk', domain.domainKeys, transfer.domainKeys),
        macKeys: install('mac', domain.macKeys, transfer.macKeys),
      }
    })
    ensureAuditKey(this.#opened, domain)
    const described = describeDomain(this.#opened, domain)
    const withCheckValues = (kind: 'domainKeys' | 'macKeys') =>
      described[kind].map((key, at) => ({ ...key, checkValue: key.checkValue ?? received[kind][at] ?? null }))
    return { ...described, domainKeys: withCheckValues('domainKeys'), macKeys: withCheckValues('macKeys') }
  }

  beginRewrap({ domain, transfer }: CeremonyArgs<'beginRewrap'>): Record<string, never> {
    const { token, session } = this.#opened
    const { wrap } = this.#opened.capabilitiesFor(domain)
    if (wrap === undefined)
      throw new HsmFault('input', `token "${token.label}" cannot wrap: nothing is re-wrapped in it`)
    const keys = new DomainKeys(token.cryptoki, session, domain, wrap.mechanism)
    this.#rewrap = this.#receive(pair => {
      const unwrap = this.#unwrapWith(pair, transfer.oaepHash, transfer.domainKeys[0])
      return new Rewrap({ token, session, wrap, domain: keys }, unwrap)
    })
    return {}
  }

  /** A record that is refused is answered as such; any other fault ends the command. */
  rewrap({ records }: CeremonyArgs<'rewrapEkts'>): CeremonyResult<'rewrapEkts'> {
    const begun = this.#rewrap
    if (begun === undefined) throw new HsmFault('input', 'no re-wrap was begun in this token')
    const attempt = (record: string): CeremonyResult<'rewrapEkts'>['records'][number] => {
      try {
        return { record: begun.rewrap(Buffer.from(record, 'base64')).toString('base64') }
      } catch (error) {
        const fault = faultOf(error)
        if (fault.kind !== 'key') throw fault
        return { refused: fault.reason }
      }
    }
    return { records: records.map(attempt) }
  }

  /** Uses the transfer pair of this process once: whatever comes of it, the pair is gone afterwards. */
  #receive<T>(use: (pair: TransferPair) => T): T {
    const { token, session } = this.#opened
    const pair = this.#pair
    if (pair === undefined) throw new HsmFault('input', 'no transfer was begun in this token')
    try {
      return use(pair)
    } finally {
      token.cryptoki.C_DestroyObject(session, pair.privateKey)
      this.#pair = undefined
    }
  }

  #unwrapWith({ privateKey }: TransferPair, hash: OaepHash, blob = ''): UnwrapKey {
    const { token, session } = this.#opened
    const wrapped = Buffer.from(blob, 'base64')
    return template => token.cryptoki.C_UnwrapKey(session, oaepMechanism(hash), privateKey, wrapped, template)
  }
}

/** From modulus and exponent alone: what the key says of itself is what an attacker would have changed too. */
export function fingerprintTransferKey({ modulus, exponent }: CeremonyArgs<'fingerprintTransferKey'>): {
  fingerprint: string
} {
  return { fingerprint: fingerprintOf(Buffer.from(modulus, 'base64'), Buffer.from(exponent, 'base64')) }
}
