/** The bytes of a request body, within the bound of any legal request. */
import type { IncomingMessage } from 'node:http'
import { KmsError } from '../model/errors.ts'
import type { HeaderFields } from './sigv4/headers.ts'

/** The largest legal request is dominated by an attestation document: about 350 KB in base64. */
const BODY_MAX_BYTES = 1_048_576
/**
 * As much is read and thrown away before a refusal: a client that is still sending when the connection is closed sees a
 * broken pipe and never the answer.
 */
const DISCARD_MAX_BYTES = 33_554_432

/** Throws KmsError RequestEntityTooLargeException beyond the bound, as soon as the client can hear it. */
export function readBody(request: IncomingMessage, headers: HeaderFields): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length <= BODY_MAX_BYTES) chunks.push(chunk)
      else discard(chunks)
      if (length > DISCARD_MAX_BYTES) {
        request.pause()
        reject(tooLarge())
      }
    })
    request.on('end', () => {
      if (length > BODY_MAX_BYTES) reject(tooLarge())
      else resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks))
    })
    request.on('error', () => reject(new KmsError('SerializationException', 'The request body was cut off.')))
    if (Number(headers['content-length'] ?? 0) > DISCARD_MAX_BYTES) {
      request.pause()
      reject(tooLarge())
    }
  })
}

function discard(chunks: Buffer[]): void {
  for (const chunk of chunks.splice(0)) chunk.fill(0)
}

function tooLarge(): KmsError {
  return new KmsError('RequestEntityTooLargeException', `The request body is longer than ${BODY_MAX_BYTES} bytes.`)
}
