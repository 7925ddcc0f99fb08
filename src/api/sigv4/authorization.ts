/**
 * The Authorization header of AWS Signature Version 4, taken apart. Nothing here is verified: who signed, for which day,
 * Region and service, which headers, and the signature, all as claimed.
 */
import { hash } from 'node:crypto'
import { KmsError } from '../../model/errors.ts'
import { Remembered } from './remembered.ts'

export const ALGORITHM = 'AWS4-HMAC-SHA256'

/** Far above what any SDK sends (about 300 bytes), far below what would be worth an attacker's sending. */
export const AUTHORIZATION_MAX_BYTES = 8_192
const CREDENTIAL_MAX_BYTES = 256
const ECHO_MAX_CHARACTERS = 128

export interface Authorization {
  readonly accessKeyId: string
  /** YYYYMMDD, if the client is honest: compared with the date of the request before it is used. */
  readonly date: string
  readonly region: string
  readonly service: string
  /** `aws4_request`, if the client is honest. */
  readonly terminator: string
  /** As on the wire: names joined by `;`. */
  readonly signedHeaders: string
  /** 64 lowercase hex digits, if the client is honest. */
  readonly signature: string
}

/**
 * Parses the value of the header. `dated` says whether the request has a date header, because AWS names its absence
 * together with the missing parts of this one. Throws KmsError IncompleteSignatureException in AWS's words; like AWS, it
 * answers with a digest of the header, never with the header: people put passwords and tokens there by mistake.
 */
export function parseAuthorization(header: string, dated: boolean): Authorization {
  if (header.length > AUTHORIZATION_MAX_BYTES) throw incomplete('Authorization header is too long.')
  const parts = new Parts()
  const scheme = schemeOf(header)
  let start = scheme === '' ? 0 : scheme.length + 1
  while (start < header.length) {
    const comma = header.indexOf(',', start)
    const end = comma < 0 ? header.length : comma
    parts.add(header, start, end)
    start = end + 1
  }
  const { credential, signedHeaders, signature } = parts
  if (!credential || !signedHeaders || !signature || !dated) throw incomplete(whatIsMissing(header, parts, dated))
  // Last, so that `Bearer` and `Basic` are told what is missing and their contents are never echoed as an algorithm.
  if (scheme !== ALGORITHM) throw incomplete(`Unsupported AWS 'algorithm': '${echo(scheme)}'.`)
  const [accessKeyId, date, region, service, terminator] = credentials.of(credential)
  return { accessKeyId, date, region, service, terminator, signedHeaders, signature }
}

/** An error of authentication that speaks of the header's form. */
export function incomplete(message: string): KmsError {
  return new KmsError('IncompleteSignatureException', message)
}

/** What a caller sent, cut to a length that is fit for a message. */
export function echo(text: string): string {
  return text.length <= ECHO_MAX_CHARACTERS ? text : `${text.slice(0, ECHO_MAX_CHARACTERS)}...`
}

/** `Name=value` parts, in any order, with spaces around them. */
class Parts {
  credential: string | undefined
  signedHeaders: string | undefined
  signature: string | undefined

  add(header: string, from: number, to: number): void {
    let start = from
    let end = to
    while (start < end && header.charCodeAt(start) === SPACE) start++
    while (end > start && header.charCodeAt(end - 1) === SPACE) end--
    if (start === end) return
    const equals = header.indexOf('=', start)
    if (equals < 0 || equals >= end) {
      const digest = digestOf(header)
      throw incomplete(
        `Invalid key=value pair (missing equal-sign) in Authorization header (hashed with SHA-256 and encoded with Base64): '${digest}'.`,
      )
    }
    const value = header.slice(equals + 1, end)
    if (header.startsWith('Credential=', start)) this.credential = once('Credential', this.credential, value)
    else if (header.startsWith('SignedHeaders=', start))
      this.signedHeaders = once('SignedHeaders', this.signedHeaders, value)
    else if (header.startsWith('Signature=', start)) this.signature = once('Signature', this.signature, value)
  }
}

const SPACE = 0x20

/** A part given twice could be read in two ways by two parsers. */
function once(name: string, before: string | undefined, value: string): string {
  if (before !== undefined) throw incomplete(`Authorization header has more than one '${name}' parameter.`)
  return value
}

/** The word before the first space; empty when there is none, and then the whole header is read for parts. */
function schemeOf(header: string): string {
  if (header.startsWith(`${ALGORITHM} `)) return ALGORITHM
  const space = header.indexOf(' ')
  return space < 0 ? '' : header.slice(0, space)
}

function whatIsMissing(header: string, parts: Parts, dated: boolean): string {
  const missing: string[] = []
  if (!parts.credential) missing.push("Authorization header requires 'Credential' parameter.")
  if (!parts.signature) missing.push("Authorization header requires 'Signature' parameter.")
  if (!parts.signedHeaders) missing.push("Authorization header requires 'SignedHeaders' parameter.")
  if (!dated) {
    missing.push("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
  }
  return `${missing.join(' ')} (Hashed with SHA-256 and encoded with Base64) Authorization=${digestOf(header)}`
}

type FiveElements = [accessKeyId: string, date: string, region: string, service: string, terminator: string]

const credentials = new Remembered(splitCredential)

/** AWS's message echoes the credential. Ours does not: whoever mixes id and secret up has put the secret there. */
function splitCredential(credential: string): FiveElements {
  const elements = credential.length <= CREDENTIAL_MAX_BYTES ? credential.split('/') : []
  if (elements.length !== 5 || elements.includes('')) {
    throw incomplete('Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term')
  }
  return elements as FiveElements
}

function digestOf(header: string): string {
  return hash('sha256', Buffer.from(header, 'latin1'), 'base64')
}
