/** A collector of lines over HTTP: each batch is one POST of lines of JSON, and counts as sent once it was answered with 2xx. */
import { request as requestHttp } from 'node:http'
import { type RequestOptions, request as requestHttps } from 'node:https'
import type { Sink } from './forwarder.ts'

const ANSWER_MS = 30_000
const LINE_FEED = Buffer.from('\n')

/** `token` is sent as a bearer token, when there is one. `options` are those of TLS. */
export function httpSink(url: URL, token: string | undefined, options: RequestOptions = {}): Sink {
  const authorization = token === undefined ? {} : { authorization: `Bearer ${token}` }
  return {
    name: 'http',
    close() {},
    async send(lines) {
      const body = Buffer.concat(lines.flatMap(line => [line, LINE_FEED]))
      const headers = { 'content-type': 'application/x-ndjson', 'content-length': body.length, ...authorization }
      const status = await post(url, { ...options, headers }, body)
      if (status < 200 || status > 299) throw new Error(`the collector answered ${status}`)
    },
  }
}

function post(url: URL, options: RequestOptions, body: Buffer): Promise<number> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? requestHttps : requestHttp
    const outgoing = request(url, { ...options, method: 'POST', timeout: ANSWER_MS }, response => {
      response.resume()
      response.once('end', () => resolve(response.statusCode ?? 0))
      response.once('error', reject)
    })
    outgoing.once('timeout', () => outgoing.destroy(new Error('the collector did not answer in time')))
    outgoing.once('error', reject)
    outgoing.end(body)
  })
}
