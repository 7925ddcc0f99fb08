/**
 * Syslog over TLS: messages of RFC 5424 in the frames of RFC 5425. The protocol has no acknowledgement: what the connection has taken
 * counts as sent.
 */
import { once } from 'node:events'
import { hostname } from 'node:os'
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls'
import type { Sink } from './forwarder.ts'

/** Facility 13, log audit; severity 6, informational (RFC 5424 section 6.2.1). */
const PRIORITY = 13 * 8 + 6
/** Marks the message as UTF-8 (RFC 5424 section 6.4). */
const BOM = Buffer.from([0xef, 0xbb, 0xbf])
const CONNECT_MS = 10_000
const SEND_MS = 30_000
const HOST_MAX_CHARACTERS = 255

/** `options` name host, port, and the certificates; the certificate of the other side is always verified. */
export function syslogSink(options: ConnectionOptions): Sink {
  let socket: TLSSocket | undefined
  const close = () => {
    socket?.destroy()
    socket = undefined
  }
  return {
    name: 'syslog',
    close,
    async send(lines) {
      try {
        if (socket === undefined || socket.destroyed) socket = await open(options)
        await write(socket, Buffer.concat(lines.map(line => frame(line, new Date()))))
      } catch (error) {
        close()
        throw error
      }
    },
  }
}

/** MSG-LEN SP SYSLOG-MSG. */
export function frame(line: Buffer, now: Date): Buffer {
  const host =
    hostname()
      .replace(/[^\x21-\x7e]/g, '-')
      .slice(0, HOST_MAX_CHARACTERS) || '-'
  const header = Buffer.from(`<${PRIORITY}>1 ${now.toISOString()} ${host} strongroom ${process.pid} audit - `, 'latin1')
  const message = Buffer.concat([header, BOM, line])
  return Buffer.concat([Buffer.from(`${message.length} `, 'latin1'), message])
}

async function open(options: ConnectionOptions): Promise<TLSSocket> {
  const socket = connect({ ...options, minVersion: 'TLSv1.2', rejectUnauthorized: true, timeout: CONNECT_MS })
  socket.on('timeout', () => socket.destroy(new Error('the syslog server did not answer in time')))
  await once(socket, 'secureConnect')
  socket.setTimeout(0)
  socket.unref()
  // What goes wrong between two batches shows when the next one is sent.
  socket.on('error', () => {})
  return socket
}

function write(socket: TLSSocket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => socket.destroy(new Error('the syslog server takes nothing')), SEND_MS)
    const ended = () => reject(new Error('the syslog server closed the connection'))
    socket.once('close', ended)
    socket.write(bytes, error => {
      clearTimeout(late)
      socket.off('close', ended)
      if (error === undefined || error === null) resolve()
      else reject(error)
    })
  })
}
