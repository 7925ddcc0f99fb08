/**
 * One HTTP/1.1 connection of a load, on a bare socket: a request is one write of bytes made beforehand, and an answer is
 * looked at only as far as needed to see that it is whole. It shares the machine's cores with the server it measures.
 */
import { connect, type Socket } from 'node:net'

const READ_BYTES = 16_384
const HEAD_END = Buffer.from('\r\n\r\n')
const LAST_CHUNK = Buffer.from('\r\n0\r\n\r\n')
const SUCCESS = Buffer.from('HTTP/1.1 200')

export class Connection {
  readonly #socket: Socket
  /** What has arrived of an answer that came in several reads. */
  #partial: Buffer | undefined
  #onAnswer: (answer: Buffer) => void = () => {}
  #onFailure: (error: Error) => void = () => {}

  /** Resolves when connected. */
  static open(host: string, port: number): Promise<Connection> {
    return new Promise((resolve, reject) => {
      const connection: Connection = new Connection(host, port, () => resolve(connection))
      connection.#onFailure = reject
    })
  }

  private constructor(host: string, port: number, connected: () => void) {
    // One buffer for all reads of a connection: an answer is never kept.
    const onread = {
      buffer: Buffer.allocUnsafe(READ_BYTES),
      callback: (length: number, buffer: Uint8Array) => this.#read(buffer as Buffer, length),
    }
    this.#socket = connect({ host, port, noDelay: true, onread }, connected)
    this.#socket.on('error', error => this.#onFailure(error))
    this.#socket.on('close', () => this.#onFailure(new Error('the server closed the connection')))
  }

  /** An answer's bytes are good until `onAnswer` returns. A failure ends the connection. */
  listen(onAnswer: (answer: Buffer) => void, onFailure: (error: Error) => void): void {
    this.#onAnswer = onAnswer
    this.#onFailure = onFailure
  }

  /** One request at a time: the next is sent when the answer is there. */
  send(request: Buffer): void {
    this.#socket.write(request)
  }

  close(): void {
    this.listen(
      () => {},
      () => {},
    )
    this.#socket.destroy()
  }

  #read(buffer: Buffer, length: number): boolean {
    const chunk = buffer.subarray(0, length)
    const bytes = this.#partial === undefined ? chunk : Buffer.concat([this.#partial, chunk])
    if (!isWhole(bytes)) {
      this.#partial = Buffer.from(bytes)
      return true
    }
    this.#partial = undefined
    this.#onAnswer(bytes)
    return true
  }
}

export function isSuccess(answer: Buffer): boolean {
  return SUCCESS.compare(answer, 0, SUCCESS.length) === 0
}

/** The body of an answer that came with a content-length. */
export function bodyOf(answer: Buffer): Buffer {
  return answer.subarray(answer.indexOf(HEAD_END) + HEAD_END.length)
}

/** Whether an HTTP answer has arrived in full. There is never more than one: the next request has not been sent. */
function isWhole(bytes: Buffer): boolean {
  const headEnd = bytes.indexOf(HEAD_END)
  if (headEnd < 0) return false
  const length = /\r\ncontent-length: *(\d+)/i.exec(bytes.toString('latin1', 0, headEnd))
  if (length !== null) return bytes.length >= headEnd + HEAD_END.length + Number(length[1])
  return bytes.subarray(-LAST_CHUNK.length).equals(LAST_CHUNK)
}
