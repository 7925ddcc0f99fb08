/** Resident HBKs and their records as a PIN holder can make them, and what the host of their token lists. */
import { hash, randomBytes } from 'node:crypto'
import { type EktFields, ektMacInput, encodeEkt } from '../../src/formats/ekt.ts'
import { CKA_ID_BYTES, residentCkaId } from '../../src/formats/resident-key.ts'
import type { EktReference } from '../../src/hsm/contract/fields.ts'
import type { Host } from './host.ts'
import { asPinHolder, type TokenDomain } from './tokens.ts'

/** A CKA_ID for a key, which no object has yet. */
export const newCkaId = (kid: Buffer): Buffer => residentCkaId(kid, randomBytes(15))

export const referTo = (record: Buffer): EktReference => ({ record, digest: hash('sha256', record, 'buffer') })

/** A record with other fields whose MAC is good: a PIN holder of the first token can do that. */
export async function forge({ description, locations }: TokenDomain, fields: EktFields): Promise<EktReference> {
  const args = { domain: description, input: ektMacInput(fields) }
  return referTo(encodeEkt(fields, Buffer.from(await asPinHolder(locations[0]!, 'forgeMac', args))))
}

/** The fault that a host answers a bad record with. */
export const refused = (reason: string) => ({ outcome: 'fault', fault: { kind: 'key', reason } })

/** Throws for a fault. */
export function resultOf<T>(outcome: { outcome: string; result?: T }): T {
  if (outcome.result === undefined) throw new Error(JSON.stringify(outcome))
  return outcome.result
}

/** The CKA_IDs, in hex, of the resident HBKs that a host finds in its token. */
export async function listResident(host: Host): Promise<string[]> {
  const ckaIds = Buffer.from(resultOf(await host.send('listResidentKeys', { after: Buffer.alloc(0) })).ckaIds)
  return Array.from({ length: ckaIds.length / CKA_ID_BYTES }, (_, at) =>
    ckaIds.toString('hex', at * CKA_ID_BYTES, (at + 1) * CKA_ID_BYTES),
  )
}
