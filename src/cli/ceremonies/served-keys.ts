/**
 * Whether a token can open the keys that a domain has: an EKT of a kind of key pair that a token does not take back is of no
 * use there, and cannot be re-wrapped there either. What resides in a token stays where it is.
 */
import { decodeEkt } from '../../formats/ekt.ts'
import { homeIn, needsOf } from '../../hsm/contract/key-mechanisms.ts'
import { KEY_SPECS, type KeySpec } from '../../model/key-specs.ts'
import type { Domain, StoredEkt } from '../../store/store.ts'
import type { CeremonyParts } from './parts.ts'
import type { OpenedToken } from './tokens.ts'

/** Records of one read. */
const BATCH = 256

/** How many keys of the domain the token cannot open, by their spec; empty when it opens all. */
export async function unservedKeys(
  { store }: Pick<CeremonyParts, 'store'>,
  { region }: Domain,
  token: OpenedToken,
): Promise<ReadonlyMap<KeySpec, number>> {
  const counts = new Map<KeySpec, number>()
  const specs = KEY_SPECS.filter(spec => !opens(token, spec))
  for (let after: StoredEkt | undefined; specs.length > 0; ) {
    const ekts = await store.reader.listEktsOfSpecs(region, specs, after, BATCH)
    for (const { record } of ekts) {
      const { body, keySpec } = decodeEkt(record).fields
      if (body.kind === 'wrapped') counts.set(keySpec as KeySpec, (counts.get(keySpec as KeySpec) ?? 0) + 1)
    }
    after = ekts.at(-1)
    if (after === undefined) break
  }
  return counts
}

/** For messages: `3 keys of KeySpec ML_KEM_768 (missing: CKM_ML_KEM)`. */
export function describeUnserved(unserved: ReadonlyMap<KeySpec, number>, { keyMechanisms }: OpenedToken): string {
  const parts = [...unserved].map(([spec, count]) => {
    const missing = needsOf(spec)?.mechanisms.filter(name => !keyMechanisms.includes(name)) ?? []
    const why =
      missing.length > 0 ? `missing: ${missing.join(', ')}` : 'it does not take them back once they are wrapped'
    return `${count} ${count === 1 ? 'key' : 'keys'} of KeySpec ${spec} (${why})`
  })
  return parts.join(' and ')
}

function opens(token: OpenedToken, spec: KeySpec): boolean {
  const needs = needsOf(spec)
  return needs === undefined || homeIn(token, needs) === 'ekt'
}
