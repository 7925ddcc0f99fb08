/**
 * The canonical request of AWS Signature Version 4: one text for all the ways of writing the same HTTP request. Its
 * characters are bytes of the wire (latin1), as Node hands out the target and the headers.
 *
 *   METHOD \n CanonicalUri \n CanonicalQuery \n CanonicalHeaders \n SignedHeaders \n HashedPayload
 *
 * CanonicalHeaders ends with a newline of its own, so a blank line comes before SignedHeaders.
 */
import { ByteWriter } from '../../base/bytes.ts'
import type { HeaderFields } from './headers.ts'

export interface CanonicalParts {
  readonly method: string
  /** The target as on the request line: path, and query if any. */
  readonly url: string
  readonly headers: HeaderFields
  /** As on the wire: names joined by `;`. */
  readonly signedHeaders: string
  /** The same, taken apart; every one of them is among `headers`. */
  readonly signedHeaderNames: readonly string[]
  /** Lowercase hex SHA-256 of the body. */
  readonly payloadHash: string
}

/** Written piece by piece: as a string it would be built of some fifty, and copied twice on its way to the hash. */
const text = new ByteWriter()
const NEWLINE = 0x0a
const COLON = 0x3a

/** A view, which the next call overwrites. */
export function canonicalRequest(parts: CanonicalParts): Uint8Array {
  const { method, url, headers, signedHeaders, signedHeaderNames, payloadHash } = parts
  text.clear()
  text.ascii(method).u8(NEWLINE).ascii(canonicalTarget(url)).u8(NEWLINE)
  for (const name of signedHeaderNames) {
    text
      .ascii(name)
      .u8(COLON)
      .ascii(canonicalValue(headers[name] ?? ''))
      .u8(NEWLINE)
  }
  return text.u8(NEWLINE).ascii(signedHeaders).u8(NEWLINE).ascii(payloadHash).view()
}

/** CanonicalUri, a newline, CanonicalQuery. */
function canonicalTarget(url: string): string {
  if (url === '/') return '/\n'
  const question = url.indexOf('?')
  if (question < 0) return `${canonicalUri(url)}\n`
  return `${canonicalUri(url.slice(0, question))}\n${canonicalQuery(url.slice(question + 1))}`
}

/**
 * Dot segments and empty segments removed, then every byte encoded that is neither unreserved nor `/`. A `%` of the wire
 * is encoded again, which is the double encoding that AWS prescribes for every service but S3.
 */
function canonicalUri(path: string): string {
  const segments: string[] = []
  for (const segment of path.split('/')) {
    if (segment === '..') segments.pop()
    else if (segment !== '' && segment !== '.') segments.push(percentEncode(segment))
  }
  const trailing = segments.length > 0 && path.endsWith('/') ? '/' : ''
  return `/${segments.join('/')}${trailing}`
}

/** Names and values decoded and encoded again in the one way, sorted by name, then by value; no value is an empty one. */
function canonicalQuery(query: string): string {
  const pairs: [name: string, value: string][] = []
  for (const part of query.split('&')) {
    if (part === '') continue
    const equals = part.indexOf('=')
    const name = equals < 0 ? part : part.slice(0, equals)
    const value = equals < 0 ? '' : part.slice(equals + 1)
    pairs.push([percentEncode(percentDecode(name)), percentEncode(percentDecode(value))])
  }
  return pairs
    .sort(([nameA, valueA], [nameB, valueB]) => compare(nameA, nameB) || compare(valueA, valueB))
    .map(([name, value]) => `${name}=${value}`)
    .join('&')
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/**
 * Trimmed, runs of white space made one space. Node has trimmed a value already, so one look tells most values that they
 * are done. White space is that of HTTP: JavaScript's would take a byte A0 out of the middle of UTF-8 text.
 */
function canonicalValue(value: string): string {
  const even = !value.includes('  ') && !value.includes('\t')
  if (even && !isWhiteSpace(value, 0) && !isWhiteSpace(value, value.length - 1)) return value
  return value.replace(/[ \t\r\n]+/g, ' ').replace(/^ | $/g, '')
}

function isWhiteSpace(value: string, at: number): boolean {
  return value.charCodeAt(at) <= 0x20
}

const UNRESERVED = /^[A-Za-z0-9\-._~]*$/
const ENCODED = Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte)
  return UNRESERVED.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
})

function percentEncode(bytes: string): string {
  if (UNRESERVED.test(bytes)) return bytes
  let text = ''
  for (let i = 0; i < bytes.length; i++) text += ENCODED[bytes.charCodeAt(i) & 0xff]
  return text
}

/** A `%` that no two hex digits follow stands for itself. */
function percentDecode(text: string): string {
  if (!text.includes('%')) return text
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
}
