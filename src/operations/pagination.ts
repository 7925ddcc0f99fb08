/**
 * Pages and their markers. A marker names the last item shown and the list it belongs to; to callers it is opaque. A list
 * is named with all that sets it apart from others: kind, region, account, and the key whose items it shows.
 */
import { KmsError } from '../model/errors.ts'
import type { Page } from '../store/records.ts'

export interface PageSize {
  readonly default: number
  readonly max: number
}

/** Throws KmsError InvalidMarkerException for a marker of another list, or none of ours. */
export function pageOf(
  list: string,
  { Limit, Marker }: { Limit?: number | undefined; Marker?: string | undefined },
  size: PageSize,
): Page {
  if (Limit !== undefined && Limit > size.max) {
    const rule = `Member must have value less than or equal to ${size.max}`
    const message = `1 validation error detected: Value '${Limit}' at 'limit' failed to satisfy constraint: ${rule}`
    throw new KmsError('ValidationException', message)
  }
  return { after: Marker === undefined ? undefined : readMarker(list, Marker), limit: Limit ?? size.default }
}

/** Reads one item more than asked for, to know whether others follow. */
export async function paginate<T>(
  list: string,
  page: Page,
  read: (page: Page) => Promise<T[]>,
  nameOf: (item: T) => string,
): Promise<{ items: T[]; next: { Truncated: boolean; NextMarker?: string } }> {
  const found = await read({ ...page, limit: page.limit + 1 })
  const items = found.slice(0, page.limit)
  const last = items.at(-1)
  if (found.length <= page.limit || last === undefined) return { items, next: { Truncated: false } }
  const marker = Buffer.from(`${list}/${nameOf(last)}`, 'utf8').toString('base64url')
  return { items, next: { Truncated: true, NextMarker: marker } }
}

function readMarker(list: string, marker: string): string {
  const text = Buffer.from(marker, 'base64url').toString('utf8')
  const prefix = `${list}/`
  // Reading base64url skips what does not belong to it, so only writing it again shows that the marker is one of ours.
  const altered = Buffer.from(text, 'utf8').toString('base64url') !== marker
  if (altered || !text.startsWith(prefix) || text.length === prefix.length) {
    throw new KmsError('InvalidMarkerException', 'The marker is not valid.')
  }
  return text.slice(prefix.length)
}
