/**
 * AWS JSON 1.1, the protocol of the KMS API, as pure functions: which operation a request names, its body as JSON, and
 * what an answer or an error looks like on the wire.
 */
import { isUtf8 } from 'node:buffer'
import { type Infer, parseInput, type Structure } from '../base/schema.ts'
import { type ErrorCode, errorKind, KmsError } from '../model/errors.ts'
import type { HeaderFields } from './sigv4/headers.ts'

export const CONTENT_TYPE = 'application/x-amz-json-1.1'
const TARGET_PREFIX = 'TrentService.'

/**
 * The operation that X-Amz-Target names; whether there is one of that name is for the caller to say. Throws KmsError
 * UnknownOperationException when it names none of this service or when the body is not declared to be JSON, which AWS
 * answers alike.
 */
export function operationOf(headers: HeaderFields): string {
  const target = headers['x-amz-target']
  if (target === undefined || !target.startsWith(TARGET_PREFIX) || target.length === TARGET_PREFIX.length) {
    throw new KmsError('UnknownOperationException')
  }
  if (!isJson(headers['content-type'])) {
    throw new KmsError('UnknownOperationException', `The Content-Type must be ${CONTENT_TYPE}.`)
  }
  return target.slice(TARGET_PREFIX.length)
}

/** A charset parameter is tolerated, and so is the name that tools without an SDK give to JSON. */
function isJson(contentType: string | undefined): boolean {
  if (contentType === CONTENT_TYPE) return true
  const type = contentType?.split(';', 1)[0]?.trim().toLowerCase()
  return type === CONTENT_TYPE || type === 'application/json'
}

/**
 * The members of a request; no body at all is an object without members. Throws KmsError SerializationException, which
 * says nothing of what JSON.parse says: its messages quote the body, plaintext and all.
 */
export function parseBody(body: Buffer): Record<string, unknown> {
  if (body.length === 0) return {}
  // Buffers read invalid UTF-8 as U+FFFD, which would make different encryption contexts one.
  if (!isUtf8(body)) throw new KmsError('SerializationException', 'The request body is not UTF-8.')
  const json = parseJson(body.toString('utf8'))
  if (typeof json === 'object' && json !== null && !Array.isArray(json)) return json as Record<string, unknown>
  throw new KmsError('SerializationException', 'The request body is not a JSON object.')
}

/** The typed input that a body holds. Throws KmsError SerializationException or ValidationException. */
export function readInput<S extends Structure>(shape: S, body: Buffer): Infer<S> {
  const parsed = parseInput(shape, parseBody(body))
  if (parsed.fault === undefined) return parsed.value
  throw new KmsError(parsed.fault === 'type' ? 'SerializationException' : 'ValidationException', parsed.message)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/**
 * The body of a successful answer. Bytes become base64, a Map becomes an object, members that are undefined are left out;
 * timestamps are numbers of seconds already. An operation without output answers an object without members.
 */
export function encodeOutput(output: object | undefined): string {
  return output === undefined ? '{}' : JSON.stringify(wireForm(output))
}

/** A replacer for JSON.stringify would cost more, and would see a Buffer only after its toJSON. */
function wireForm(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return base64(value)
  if (Array.isArray(value)) return value.map(wireForm)
  // fromEntries defines members, so that a key `__proto__` is one like any other.
  if (value instanceof Map) return Object.fromEntries(Array.from(value, ([key, member]) => [key, wireForm(member)]))
  const members: Record<string, unknown> = { ...value }
  for (const name in members) members[name] = wireForm(members[name])
  return members
}

function base64(bytes: Uint8Array): string {
  const view = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return view.toString('base64')
}

/** What a caller is told of anything that was thrown: the causes of internal errors are for the log. */
export function kmsErrorOf(thrown: unknown): KmsError {
  if (thrown instanceof KmsError) return thrown
  return new KmsError('KMSInternalException', 'The request failed because of an internal error.', { cause: thrown })
}

/** The body of an error: its code and its public message, never its detail. */
export function encodeError(error: KmsError): string {
  const { capitalMessage, silent } = errorKind(error.code)
  const body: { __type: ErrorCode; message?: string; Message?: string } = { __type: error.code }
  if (error.message !== '' && silent !== true) body[capitalMessage ? 'Message' : 'message'] = error.message
  return JSON.stringify(body)
}

/** The headers of every answer, as the flat list that `writeHead` takes fastest. `errorType` is the code of an error. */
export function responseHeaders(requestId: string, contentLength: number, errorType?: string): string[] {
  const headers = ['Content-Type', CONTENT_TYPE, 'x-amzn-RequestId', requestId, 'Content-Length', String(contentLength)]
  if (errorType !== undefined) headers.push('x-amzn-ErrorType', errorType)
  return headers
}
