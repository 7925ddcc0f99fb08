/** The one thing that is made of a caller's secret here: a SigV4 signing key, which signs nothing on another day. */
import { createHmac } from 'node:crypto'

export interface SigningScope {
  /** YYYYMMDD. */
  readonly date: string
  readonly region: string
  readonly service: string
}

/**
 * HMAC(HMAC(HMAC(HMAC("AWS4" + secret, date), region), service), "aws4_request"). The intermediate keys and the result
 * are given to `wipeLater`.
 */
export function deriveSigningKey(secret: Buffer, scope: SigningScope, wipeLater: (bytes: Buffer) => void): Buffer {
  let key = Buffer.concat([Buffer.from('AWS4', 'ascii'), secret])
  for (const part of [scope.date, scope.region, scope.service, 'aws4_request']) {
    wipeLater(key)
    key = createHmac('sha256', key).update(part).digest()
  }
  wipeLater(key)
  return key
}
