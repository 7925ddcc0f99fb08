/** Requests below the SDK: signed here, sent with node:http, each part of them free to be wrong. */
import { hash } from 'node:crypto'
import { type IncomingHttpHeaders, request } from 'node:http'
import { canonicalRequest } from '../../src/api/sigv4/canonical-request.ts'
import { foldHeaders } from '../../src/api/sigv4/headers.ts'
import { deriveSigningKey, signatureOf, stringToSign } from '../../src/api/sigv4/signature.ts'
import { sandbox } from './kms.ts'

export interface Draft {
  readonly operation?: string
  /** Text as it stands, or members for JSON. */
  readonly body?: string | Buffer | object
  readonly method?: string
  readonly path?: string
  /** Beside or in place of the usual ones; undefined takes one out. Signed, all of them. */
  readonly headers?: Readonly<Record<string, string | undefined>>
  /** What is sent in place of what was signed. */
  readonly afterSigning?: {
    readonly method?: string
    readonly path?: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: string
  }
  readonly accessKeyId?: string
  readonly secretAccessKey?: string
  readonly region?: string
  readonly service?: string
  readonly signedAtMs?: number
  /** Changes the Authorization header; without a result none is sent. */
  readonly authorization?: (right: string) => string | undefined
  /** Sent in chunks, its length unsaid. */
  readonly chunked?: boolean
}

export interface Reply {
  readonly status: number
  readonly headers: IncomingHttpHeaders
  readonly text: string
}

/** Sends a request that is right but for what the draft says. */
export function send(draft: Draft = {}): Promise<Reply> {
  const { operation = 'ListKeys', body = {}, afterSigning = {} } = draft
  const { host, hostname, port } = new URL(sandbox.endpoint)
  const payload = Buffer.from(typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body))
  const fields: Record<string, string | undefined> = {
    'content-type': 'application/x-amz-json-1.1',
    host,
    'x-amz-date': timestampOf(draft.signedAtMs ?? Date.now()),
    'x-amz-target': `TrentService.${operation}`,
    ...draft.headers,
  }
  const signed = Object.entries(fields).filter((field): field is [string, string] => field[1] !== undefined)
  const right = sign(draft, signed.flat(), payload)
  const authorization = draft.authorization === undefined ? right : draft.authorization(right)
  const sent = afterSigning.body === undefined ? payload : Buffer.from(afterSigning.body)
  const headers = {
    ...Object.fromEntries(signed),
    ...(draft.chunked === true ? { 'transfer-encoding': 'chunked' } : { 'content-length': sent.length }),
    ...(authorization === undefined ? {} : { authorization }),
    ...afterSigning.headers,
  }
  const { method = draft.method ?? 'POST', path = draft.path ?? '/' } = afterSigning
  return new Promise((resolve, reject) => {
    const outgoing = request({ hostname, port, method, path, headers, agent: false }, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('end', () => {
        resolve({ status: response.statusCode!, headers: response.headers, text: Buffer.concat(chunks).toString() })
      })
    })
    outgoing.on('error', reject)
    outgoing.end(sent)
  })
}

/** YYYYMMDD'T'HHMMSS'Z'. */
export function timestampOf(ms: number): string {
  return new Date(ms).toISOString().replace(/[-:]|\.\d+/g, '')
}

function sign(draft: Draft, headers: readonly string[], payload: Buffer): string {
  const { method = 'POST', path = '/' } = draft
  const { accessKeyId = sandbox.accessKeyId, secretAccessKey = sandbox.secretAccessKey } = draft
  const fields = foldHeaders(headers)
  const timestamp = fields['x-amz-date'] ?? timestampOf(Date.parse(fields.date ?? ''))
  const scope = {
    date: timestamp.slice(0, 8),
    region: draft.region ?? sandbox.region,
    service: draft.service ?? 'kms',
  }
  const signedHeaders = Object.keys(fields).sort()
  const payloadHash = hash('sha256', payload)
  const canonical = canonicalRequest({
    ...{ method, url: path, headers: fields, payloadHash },
    ...{ signedHeaders: signedHeaders.join(';'), signedHeaderNames: signedHeaders },
  })
  const signature = signatureOf(deriveSigningKey(secretAccessKey, scope), stringToSign(canonical, timestamp, scope))
  const credential = [accessKeyId, scope.date, scope.region, scope.service, 'aws4_request'].join('/')
  return `AWS4-HMAC-SHA256 Credential=${credential}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`
}
