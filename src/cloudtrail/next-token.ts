/** NextToken of LookupEvents: from where the lookup goes on, and of which lookup it is. A token goes on with no other. */
import { hash } from 'node:crypto'
import type { EventQuery } from '../audit/event-query.ts'
import type { Continuation } from './block-reading.ts'
import { CloudTrailError } from './errors.ts'

/** Chain, number and time; nothing where there is none. */
const PLACE = '(?:([0-9a-f]{32})\\.(\\d{1,15})\\.(\\d{1,15}))?'
const TOKEN = new RegExp(`^${PLACE}~${PLACE}~${PLACE}~([0-9a-f]{32})$`)

/** `query` is all that the lookup asks for, with the account that asks. */
export function tokenOf({ behind, upTo, after }: Continuation, query: EventQuery): string {
  const blocks = [behind, upTo].map(place => place && [place.chain, place.number, place.lastAtMs].join('.'))
  const event = after && [after.chain, after.seq, after.atMs].join('.')
  return Buffer.from([...blocks, event, digestOf(query)].join('~'), 'latin1').toString('base64url')
}

/** Throws CloudTrailError InvalidNextTokenException for a token of another lookup, or none of ours. */
export function readToken(token: string, query: EventQuery): Continuation {
  const text = Buffer.from(token, 'base64url').toString('latin1')
  const [, ...parts] = TOKEN.exec(text) ?? []
  // Reading base64url skips what does not belong to it, so only writing it again shows that the token is one of ours.
  const altered = Buffer.from(text, 'latin1').toString('base64url') !== token
  if (altered || parts.at(-1) !== digestOf(query)) throw new CloudTrailError('InvalidNextTokenException')
  const [behind, upTo, event] = [0, 3, 6].map(at => placeOf(parts.slice(at, at + 3)))
  return {
    behind: behind && { chain: behind.chain, number: behind.number, lastAtMs: behind.atMs },
    upTo: upTo && { chain: upTo.chain, number: upTo.number, lastAtMs: upTo.atMs },
    after: event && { chain: event.chain, seq: event.number, atMs: event.atMs },
  }
}

function placeOf([chain, number, atMs]: readonly (string | undefined)[]) {
  return chain === undefined ? undefined : { chain, number: Number(number), atMs: Number(atMs) }
}

function digestOf(query: EventQuery): string {
  const members = Object.entries(query).sort(([a], [b]) => (a < b ? -1 : 1))
  return hash('sha256', JSON.stringify(members), 'hex').slice(0, 32)
}
