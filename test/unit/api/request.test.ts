/** Requests as Node's server takes them, which looks at their headers too. */
import { once } from 'node:events'
import { createServer } from 'node:http'
import { type AddressInfo, connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { ApiRequest } from '../../../src/api/request.ts'

describe('a request', () => {
  const server = createServer({ IncomingMessage: ApiRequest }, (request, response) => {
    request.resume()
    response.end(JSON.stringify(request.fields))
  })

  beforeAll(async () => {
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
  })
  afterAll(() => new Promise(resolve => server.close(resolve)))

  /** Everything that is answered to these lines, until the server closes the connection. */
  const answerTo = async (...lines: string[]) => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
    socket.write([...lines, 'Connection: close', '', ''].join('\r\n'))
    const chunks: Buffer[] = []
    for await (const chunk of socket) chunks.push(chunk as Buffer)
    return Buffer.concat(chunks).toString('latin1')
  }

  it('has its headers folded as a signature needs them', async () => {
    const answer = await answerTo('GET / HTTP/1.1', 'Host: kms', 'X-A: 1', 'x-a: 2')
    expect(JSON.parse(answer.slice(answer.indexOf('{')))).toEqual({ host: 'kms', 'x-a': '1,2', connection: 'close' })
  })

  it('is refused without a host', async () => {
    expect(await answerTo('GET / HTTP/1.1', 'X-A: 1')).toMatch(/^HTTP\/1\.1 400 /)
  })

  it('is told to go on when it expects that, and refused when it expects anything else', async () => {
    const expecting = (what: string) => answerTo('POST / HTTP/1.1', 'Host: kms', `Expect: ${what}`, 'Content-Length: 0')
    expect(await expecting('100-continue')).toMatch(/^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 /)
    expect(await expecting('a miracle')).toMatch(/^HTTP\/1\.1 417 /)
  })
})
