/**
 * Moving keys of a domain from one ceremony process to another under a one-shot transfer key (design.md 3). Each side works
 * the fingerprint out from the key that it has; they must agree, and a person who is there confirms that both show the same.
 */
import type { DomainForks, Transfer } from '../../hsm/contract/ceremony.ts'
import { CommandFailed } from '../admin-client.ts'
import type { CeremonyParts } from './parts.ts'
import { nameOf, type OpenedToken } from './tokens.ts'

/**
 * Wraps `keys` in `from` for a transfer key that `to` makes; `to` unwraps the answer with its next command. `witnessed` is
 * false where both processes have opened one and the same token, so that there is no other side to compare with.
 */
export async function transferKeys(
  parts: CeremonyParts,
  region: string,
  { from, to, keys, witnessed }: { from: OpenedToken; to: OpenedToken; keys: DomainForks; witnessed: boolean },
): Promise<Transfer> {
  const transferKey = await to.ceremony.call('beginTransfer', {})
  const { fingerprint } = await from.ceremony.call('fingerprintTransferKey', transferKey)
  if (fingerprint !== transferKey.fingerprint)
    throw new CommandFailed(`the transfer key of token ${nameOf(to)} arrived as another one at ${nameOf(from)}`)
  if (witnessed) {
    parts.say(`${region}: transfer key of token "${to.label}" has fingerprint ${transferKey.fingerprint}`)
    parts.say(`${region}: token "${from.label}" has received one with fingerprint ${fingerprint}`)
    const confirmed = await parts.confirmFingerprint?.({
      region,
      to: { label: to.label, fingerprint: transferKey.fingerprint },
      from: { label: from.label, fingerprint },
    })
    if (confirmed === false) throw new CommandFailed('the fingerprints were not confirmed: no key has left its token')
  }
  // Where users may mark keys trusted themselves, the SO adds nothing.
  const byUser = from.trusted === 'accepted-not-enforced' || from.trusted === 'rejected'
  const officerPin = byUser ? undefined : await parts.officerPin(region)
  return from.ceremony.call('exportDomain', { domain: keys, transferKey, officerPin })
}
