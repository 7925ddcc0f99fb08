/** One signed request to the KMS API: the client's half of the wire, for commands that do what any caller may. */
import { hash } from 'node:crypto'
import { ALGORITHM } from '../api/sigv4/authorization.ts'
import { canonicalRequest } from '../api/sigv4/canonical-request.ts'
import { deriveSigningKey, signatureOf, stringToSign, TERMINATOR } from '../api/sigv4/signature.ts'
import type { OperationName } from '../model/operations.ts'
import { CommandFailed } from './admin-client.ts'
import type { AwsSettings } from './aws-settings.ts'

const TIMEOUT_MS = 90_000

/** Blobs are base64, as on the wire. Throws {@link CommandFailed} with what the daemon answered. */
export async function callKms(
  settings: AwsSettings,
  operation: OperationName,
  input: Readonly<Record<string, unknown>>,
): Promise<Readonly<Record<string, unknown>>> {
  const body = JSON.stringify(input)
  const response = await post(settings, operation, body)
  const text = await response.text()
  if (response.ok) return JSON.parse(text === '' ? '{}' : text)
  throw new CommandFailed(`${operation}: ${explain(response.status, text)}`)
}

async function post(settings: AwsSettings, operation: OperationName, body: string): Promise<Response> {
  const signal = AbortSignal.timeout(TIMEOUT_MS)
  try {
    const headers = headersOf(settings, operation, body)
    return await fetch(new URL('/', settings.endpoint), { method: 'POST', headers, body, signal, redirect: 'error' })
  } catch (error) {
    const { cause, message } = error as Error
    const reason = cause instanceof Error && cause.message !== '' ? cause.message : message
    throw new CommandFailed(`${settings.endpoint} does not answer: ${reason}`, { cause: error })
  }
}

function headersOf(settings: AwsSettings, operation: OperationName, body: string): Record<string, string> {
  const timestamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const headers: Record<string, string> = {
    'content-type': 'application/x-amz-json-1.1',
    host: new URL(settings.endpoint).host,
    'x-amz-date': timestamp,
    ...(settings.sessionToken === undefined ? {} : { 'x-amz-security-token': settings.sessionToken }),
    'x-amz-target': `TrentService.${operation}`,
  }
  const signedHeaderNames = Object.keys(headers)
  const signedHeaders = signedHeaderNames.join(';')
  const scope = { date: timestamp.slice(0, 8), region: settings.region, service: 'kms' }
  const canonical = canonicalRequest({
    ...{ method: 'POST', url: '/', headers, signedHeaders, signedHeaderNames },
    payloadHash: hash('sha256', body),
  })
  const key = deriveSigningKey(settings.secretAccessKey, scope)
  const signature = signatureOf(key, stringToSign(canonical, timestamp, scope))
  const credential = [settings.accessKeyId, scope.date, scope.region, scope.service, TERMINATOR].join('/')
  const authorization = `${ALGORITHM} Credential=${credential}, SignedHeaders=${signedHeaders}, Signature=${signature}`
  return { ...headers, authorization }
}

function explain(status: number, text: string): string {
  try {
    const { __type: code, message, Message } = JSON.parse(text) as Record<string, string | undefined>
    return [code, message ?? Message].filter(part => part !== undefined).join(': ')
  } catch {
    return `the endpoint answered ${status}, and is no KMS`
  }
}
