/** Debian's boto3, as one process that makes calls for as long as a test wants. */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { fileURLToPath } from 'node:url'
import { awsEnvironment, type SandboxDescription } from './sandbox.ts'

const PYTHON = '/usr/bin/python3'
const SCRIPT = fileURLToPath(new URL('boto3-calls.py', import.meta.url))

/** Nothing for a call that was answered. */
export interface Boto3Refusal {
  readonly code?: string
  readonly message?: string
}

export class Boto3 implements AsyncDisposable {
  readonly #process: ChildProcessByStdio<Writable, Readable, Readable>
  readonly #lines: AsyncIterator<string>
  readonly #errors: string[] = []
  #members: Readonly<Record<string, readonly string[]>> = {}

  static async start(sandbox: SandboxDescription): Promise<Boto3> {
    const started = new Boto3(sandbox)
    started.#members = await started.#read()
    return started
  }

  private constructor(sandbox: SandboxDescription) {
    this.#process = spawn(PYTHON, [SCRIPT, sandbox.endpoint], {
      env: awsEnvironment(sandbox),
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    this.#process.stderr.setEncoding('utf8').on('data', text => this.#errors.push(text))
    this.#lines = createInterface({ input: this.#process.stdout })[Symbol.asyncIterator]()
  }

  /** Whether this release of boto3 has the operation, with these members. */
  knows(operation: string, input: object): boolean {
    const members = this.#members[operation]
    return members !== undefined && Object.keys(input).every(name => members.includes(name))
  }

  /** One call at a time. Throws, with what Python said, when it ends. */
  call(operation: string, input: object): Promise<Boto3Refusal> {
    this.#process.stdin.write(`${JSON.stringify({ operation, input }, encodeBytes)}\n`)
    return this.#read()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ended = new Promise(resolve => this.#process.once('close', resolve))
    this.#process.stdin.end()
    await ended
  }

  async #read() {
    const { value, done } = await this.#lines.next()
    if (done === true) throw new Error(`boto3 has ended:\n${this.#errors.join('')}`)
    return JSON.parse(value)
  }
}

/** Bytes as the script takes them; a Buffer has become its `toJSON` when a replacer sees it. */
function encodeBytes(this: Record<string, unknown>, name: string, value: unknown): unknown {
  const held = this[name]
  return held instanceof Uint8Array ? { base64: Buffer.from(held).toString('base64') } : value
}
