/** The bytes of a request body, within the bound of any legal request. */
import type { IncomingMessage } from 'node:http'
import { KmsError } from '../model/errors.ts'

/** The largest legal request is dominated by an attestation document: about 350 KB in base64. */
export const BODY_MAX_BYTES = 1_048_576

/** Throws KmsError RequestEntityTooLargeException as soon as the bound is passed; nothing more is read then. */
export function readBody(request: IncomingMessage): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let length = 0
    const tooLarge = () => {
      request.removeAllListeners('data')
      request.pause()
      reject(new KmsError('RequestEntityTooLargeException', `The request body is longer than ${BODY_MAX_BYTES} bytes.`))
    }
    if (Number(request.headers['content-length'] ?? 0) > BODY_MAX_BYTES) {
      tooLarge()
      return
    }
    request.on('data', (chunk: Buffer) => {
      length += chunk.length
      if (length > BODY_MAX_BYTES) tooLarge()
      else chunks.push(chunk)
    })
    request.on('end', () => resolve(chunks.length === 1 && chunks[0] !== undefined ? chunks[0] : Buffer.concat(chunks)))
    request.on('error', () => reject(new KmsError('SerializationException', 'The request body was cut off.')))
  })
}
