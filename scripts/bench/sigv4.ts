/**
 * Requests signed as the AWS SDK for JavaScript signs them (Signature Version 4), as the bytes that go over the wire.
 * Written here and not taken from the daemon's own code: the bench is a client, and a client that shares the server's
 * idea of a canonical request proves nothing.
 */
import { createHash, createHmac, randomUUID } from 'node:crypto'

export interface Credentials {
  readonly accessKeyId: string
  readonly secretAccessKey: string
  readonly region: string
}

const SERVICE = 'kms'
const UNSIGNED = new Set(['user-agent', 'connection'])

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const hmac = (key: string | Buffer, text: string) => createHmac('sha256', key).update(text).digest()

/** One KMS request with the headers that client-kms 3 sends, in its order. */
export function signedRequest(
  host: string,
  operation: string,
  body: string,
  { accessKeyId, secretAccessKey, region }: Credentials,
  now = new Date(),
): Buffer {
  const time = now.toISOString().replace(/[-:]|\.\d+/g, '')
  const date = time.slice(0, 8)
  const headers: Record<string, string> = {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': `TrentService.${operation}`,
    'content-length': String(Buffer.byteLength(body)),
    'x-amz-user-agent': 'aws-sdk-js/3.1162.0',
    'user-agent': 'aws-sdk-js/3.1162.0 ua/2.1 os/linux lang/js md/nodejs#26.10.0 api/kms#3.1162.0 m/N,E,e',
    host,
    'amz-sdk-invocation-id': randomUUID(),
    'amz-sdk-request': 'attempt=1; max=3',
    'x-amz-date': time,
    'x-amz-content-sha256': sha256(body),
    connection: 'keep-alive',
  }
  const signed = Object.keys(headers)
    .filter(name => !UNSIGNED.has(name))
    .sort()
  const canonical = [
    'POST',
    '/',
    '',
    ...signed.map(name => `${name}:${headers[name]}`),
    '',
    signed.join(';'),
    headers['x-amz-content-sha256'],
  ].join('\n')
  const scope = `${date}/${region}/${SERVICE}/aws4_request`
  const signingKey = hmac(hmac(hmac(hmac(`AWS4${secretAccessKey}`, date), region), SERVICE), 'aws4_request')
  const signature = hmac(signingKey, `AWS4-HMAC-SHA256\n${time}\n${scope}\n${sha256(canonical)}`).toString('hex')
  headers.authorization = `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${signed.join(';')}, Signature=${signature}`
  return httpPost('/', headers, body)
}

export function httpPost(path: string, headers: Readonly<Record<string, string>>, body: string): Buffer {
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}`)
  return Buffer.from([`POST ${path} HTTP/1.1`, ...lines, '', body].join('\r\n'), 'utf8')
}
