/** Reads a line that must not be seen: from the terminal without echo, or from standard input when it is piped. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { CommandFailed } from './admin-client.ts'

export async function readSecretLine(prompt: string): Promise<string> {
  const terminal = process.stdin.isTTY === true
  if (terminal) process.stderr.write(prompt)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal })
  try {
    const line = (await lines[Symbol.asyncIterator]().next()).value
    if (typeof line !== 'string' || line === '') throw new CommandFailed('nothing was entered')
    return line
  } finally {
    lines.close()
    if (terminal) process.stderr.write('\n')
  }
}
