/** Forwarding: real listeners of the test, and sides that are away. */
import { execFileSync } from 'node:child_process'
import { readFileSync, unlinkSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createServer as createTlsServer } from 'node:tls'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { Forwarder, type ForwardPosition, type Sink } from '../../../src/audit/forwarder.ts'
import { httpSink } from '../../../src/audit/http-sink.ts'
import { listLogFiles } from '../../../src/audit/log-files.ts'
import { syslogSink } from '../../../src/audit/syslog-sink.ts'
import { startLog } from '../../support/audit-log.ts'
import { waitUntil } from '../../support/processes.ts'
import { makeFolder } from '../../support/tokens.ts'

const SOON_MS = 30_000
let folder: ReturnType<typeof makeFolder>
let logs: string
let position: ForwardPosition | undefined
const closing: (() => void)[] = []

beforeEach(() => {
  folder = makeFolder()
  logs = join(folder.path, 'audit')
  position = undefined
})

afterEach(() => {
  for (const close of closing.splice(0)) close()
  folder.remove()
})

const storage = {
  position: async () => position,
  async setPosition(_: string, reached: ForwardPosition) {
    position = reached
  },
}

/** All lines of the log, in their order. */
async function allLines(): Promise<string[]> {
  const texts = (await listLogFiles(logs)).map(path => readFileSync(path, 'utf8'))
  return texts.join('').split('\n').slice(0, -1)
}

function memorySink(): Sink & { readonly got: string[]; fails: boolean } {
  return {
    ...{ name: 'http', got: [] as string[], fails: false },
    async send(lines) {
      if (this.fails) throw new Error('away')
      this.got.push(...lines.map(String))
    },
    close() {},
  }
}

describe('a forwarder', () => {
  it('sends every line once and in order, over files and restarts', async () => {
    const sink = memorySink()
    const { record, notary, stop } = await startLog({ folder: logs, maxBytes: 3_000 })
    await record(10)
    await new Forwarder({ folder: logs, sink, storage }).run()
    await notary.run()
    await record(10)
    const again = new Forwarder({ folder: logs, sink, storage })
    await again.run()
    await stop()
    await again.run()
    expect(sink.got).toEqual(await allLines())
    expect(again.lagBytes).toBe(0)
  })

  it('keeps what it has while the other side is away', async () => {
    const sink = memorySink()
    const troubles: string[] = []
    const onTrouble = (error: Error | undefined) => void troubles.push(error?.message ?? 'back')
    const forwarder = new Forwarder({ folder: logs, sink, storage, onTrouble })
    const { record, stop } = await startLog({ folder: logs })
    sink.fails = true
    await record(5)
    await forwarder.run()
    expect(forwarder.lagBytes).toBeGreaterThan(0)
    sink.fails = false
    await waitUntil(async () => {
      await forwarder.run()
      return troubles.includes('back')
    }, SOON_MS)
    await stop()
    await forwarder.run()
    expect(sink.got).toEqual(await allLines())
    expect(troubles).toEqual(['away', 'back'])
  })

  it('sends again what is not confirmed when the connection is lost, and remembers only what is', async () => {
    const sink = memorySink()
    let confirmed = 0
    const confirming: Sink = {
      ...sink,
      send: lines => sink.send(lines),
      async confirm() {
        if (sink.fails) throw new Error('lost')
        confirmed += 1
      },
    }
    const { record, stop } = await startLog({ folder: logs })
    await record(3)
    const forwarder = new Forwarder({ folder: logs, sink: confirming, storage })
    await forwarder.run({ confirm: true })
    const [first, before] = [await allLines(), position]
    await record(3)
    await stop()
    await forwarder.run()
    expect([confirmed, position]).toEqual([1, before])
    expect(forwarder.lagBytes).toBeGreaterThan(0)
    sink.fails = true
    await forwarder.run({ confirm: true })
    sink.fails = false
    await waitUntil(async () => {
      await forwarder.run({ confirm: true })
      return confirmed === 2
    }, SOON_MS)
    const later = (await allLines()).slice(first.length)
    expect(sink.got).toEqual([...first, ...later, ...later])
    expect(forwarder.lagBytes).toBe(0)
  })

  it('goes on behind a file that was moved away', async () => {
    const sink = memorySink()
    const { record, notary, stop } = await startLog({ folder: logs, maxBytes: 1_000 })
    const forwarder = new Forwarder({ folder: logs, sink, storage })
    await record(3)
    await forwarder.run()
    await notary.run()
    await record(3)
    unlinkSync((await listLogFiles(logs))[0]!)
    await stop()
    await forwarder.run()
    expect(sink.got.at(-1)).toBe((await allLines()).at(-1))
  })
})

describe('an HTTP collector', () => {
  it('gets lines of JSON with the token, and again what it did not take', async () => {
    const bodies: string[] = []
    const heads: unknown[] = []
    let status = 503
    const server = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', text => {
        body += text
      })
      request.on('end', () => {
        heads.push([request.headers.authorization, request.headers['content-type']])
        if (status === 200) bodies.push(body)
        response.writeHead(status).end()
      })
    })
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
    closing.push(
      () => server.closeAllConnections(),
      () => server.close(),
    )
    const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}/audit`)
    const { record, stop } = await startLog({ folder: logs })
    await record(5)
    await stop()
    const forwarder = new Forwarder({ folder: logs, sink: httpSink(url, 'bearer-1'), storage })
    await forwarder.run()
    expect(bodies).toEqual([])
    status = 200
    await waitUntil(async () => {
      await forwarder.run()
      return bodies.length > 0
    }, SOON_MS)
    expect(bodies.join('').split('\n').slice(0, -1)).toEqual(await allLines())
    expect(heads[0]).toEqual(['Bearer bearer-1', 'application/x-ndjson'])
  })
})

describe('a syslog server', () => {
  it('gets RFC 5424 messages in the frames of RFC 5425, over TLS that it proves itself by', async () => {
    const [key, cert] = ['key.pem', 'cert.pem'].map(name => join(folder.path, name)) as [string, string]
    const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
    const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2']
    execFileSync('openssl', ['req', '-x509', ...made, ...subject, '-keyout', key, '-out', cert], { stdio: 'ignore' })
    let received: Buffer = Buffer.alloc(0)
    const server = createTlsServer({ key: readFileSync(key), cert: readFileSync(cert) }, socket => {
      socket.on('data', (bytes: Buffer) => {
        received = Buffer.concat([received, bytes])
      })
      socket.on('error', () => {})
      closing.push(() => socket.destroy())
    })
    await new Promise<void>(resolve => server.listen(0, 'localhost', resolve))
    closing.push(() => server.close())
    const { port } = server.address() as AddressInfo
    const { record, stop } = await startLog({ folder: logs })
    await record(5)
    await stop()
    const distrustful = new Forwarder({ folder: logs, sink: syslogSink({ host: 'localhost', port }), storage })
    await distrustful.run()
    expect(distrustful.lagBytes).toBeGreaterThan(0)
    const sink = syslogSink({ host: 'localhost', port, ca: readFileSync(cert) })
    await new Forwarder({ folder: logs, sink, storage }).run()
    const lines = await allLines()
    await waitUntil(() => messagesIn(received).length === lines.length, SOON_MS)
    sink.close()
    const messages = messagesIn(received).map(
      text => /^<110>1 \S+Z \S+ strongroom \d+ audit - \ufeff(.*)$/s.exec(text)?.[1],
    )
    expect(messages).toEqual(lines)
  })
})

/** MSG-LEN SP SYSLOG-MSG, one after the other (RFC 5425 section 4.3). */
function messagesIn(bytes: Buffer): string[] {
  const found: string[] = []
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at)
    const length = Number(bytes.toString('latin1', at, space))
    found.push(bytes.toString('utf8', space + 1, space + 1 + length))
    at = space + 1 + length
  }
  return found
}
