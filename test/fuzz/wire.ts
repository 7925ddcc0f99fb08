/** Requests as bytes on a connection of their own: what no HTTP client would send. */
import { connect } from 'node:net'
import type { IncomingRequest } from '../../src/api/sigv4/verify.ts'

const ANSWER_MS = 10_000

/** The bytes of a request. Length and connection are not part of what was signed. */
export function bytesOf({ method, url, rawHeaders, body }: IncomingRequest): Buffer {
  const lines = [`${method} ${url} HTTP/1.1`, `Content-Length: ${body.length}`, 'Connection: close']
  for (let at = 0; at < rawHeaders.length; at += 2) lines.push(`${rawHeaders[at]}: ${rawHeaders[at + 1]}`)
  return Buffer.concat([Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1'), body])
}

/**
 * What is answered, to the end of the connection; '' when it is closed without a word. Throws when it is not closed in
 * time: the request asks for that, and the daemon closes what it cannot read.
 */
export function exchange(endpoint: string, bytes: Buffer): Promise<string> {
  const { hostname, port } = new URL(endpoint)
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    const answer = () => Buffer.concat(chunks).toString('latin1')
    const socket = connect(Number(port), hostname, () => socket.write(bytes))
    socket.setTimeout(ANSWER_MS, () => {
      socket.destroy()
      reject(new Error(`no answer in ${ANSWER_MS} ms to ${bytes.toString('latin1')}`))
    })
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    // A refusal may come, and the connection go, while the rest of the request is on its way.
    socket.on('error', () => resolve(answer()))
    socket.on('close', () => resolve(answer()))
  })
}

/** Of an answer's first line. */
export function statusOf(answer: string): number | undefined {
  const status = /^HTTP\/1\.1 (\d{3}) /.exec(answer)?.[1]
  return status === undefined ? undefined : Number(status)
}
