/**
 * Syslog over TLS: messages of RFC 5424 in the frames of RFC 5425. The protocol acknowledges no message, and what a connection has
 * taken is lost with it. But a server answers the end of a connection with its own (RFC 5425 section 4.4), and comes to that end when it
 * has read all before it; one that goes away earlier resets the connection. So connections are ended now and then.
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
  /** Whether the connection was given lines that it may lose. */
  let unconfirmed = false
  const close = () => {
    socket?.destroy()
    socket = undefined
    unconfirmed = false
  }
  /** A failed attempt says that nothing unconfirmed has arrived. */
  const attempt = async (work: () => Promise<void>) => {
    try {
      await work()
    } catch (error) {
      close()
      throw error
    }
  }
  return {
    name: 'syslog',
    close,
    send: lines =>
      attempt(async () => {
        if (unconfirmed) requireOpen(socket)
        if (!isOpen(socket)) socket = await open(options)
        unconfirmed = true
        await write(socket, Buffer.concat(lines.map(line => frame(line, new Date()))))
      }),
    confirm: () =>
      attempt(async () => {
        await end(requireOpen(socket))
        unconfirmed = false
        // A server that is about to stop ends its connections too, read or not: one that takes the next was not.
        socket = await open(options)
      }),
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
  // A server says nothing, but that it is going: who does not read does not notice.
  socket.resume()
  return socket
}

function isOpen(socket: TLSSocket | undefined): socket is TLSSocket {
  return socket?.writable === true && !socket.readableEnded
}

function requireOpen(socket: TLSSocket | undefined): TLSSocket {
  if (isOpen(socket)) return socket
  throw closedBy(socket)
}

function closedBy(socket: TLSSocket | undefined): Error {
  return socket?.errored ?? new Error('the syslog server closed the connection')
}

async function write(socket: TLSSocket, bytes: Buffer): Promise<void> {
  const taken = Promise.withResolvers<void>()
  const lost = () => taken.reject(closedBy(socket))
  socket.once('close', lost)
  socket.write(bytes, error => (error == null ? taken.resolve() : taken.reject(error)))
  await inTime(taken.promise, socket, 'the syslog server takes nothing').finally(() => socket.off('close', lost))
}

/** Resolves when the server has read everything. */
async function end(socket: TLSSocket): Promise<void> {
  const closed = once(socket, 'close')
  socket.end()
  await inTime(closed, socket, 'the syslog server does not answer the end of the connection')
}

async function inTime(work: Promise<unknown>, socket: TLSSocket, late: string): Promise<void> {
  const timer = setTimeout(() => socket.destroy(new Error(late)), SEND_MS)
  await work.finally(() => clearTimeout(timer))
}
