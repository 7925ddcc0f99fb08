/** Reads what an operator types: from the terminal, a secret without echo, or from standard input when it is piped. */
import { createInterface } from 'node:readline/promises'
import { Writable } from 'node:stream'
import { CommandFailed } from './admin-client.ts'

/** Throws {@link CommandFailed} when nothing is entered. */
export async function readSecretLine(prompt: string): Promise<string> {
  const line = process.stdin.isTTY === true ? await askTerminal(prompt) : await nextPipedLine()
  if (line === undefined || line === '') throw new CommandFailed('nothing was entered')
  return line
}

/** A line that may be seen. Throws {@link CommandFailed} when the input ends. */
export async function readAnswer(prompt: string): Promise<string> {
  const line = process.stdin.isTTY === true ? await nextTerminalLine(prompt) : await nextPipedLine()
  if (line === undefined) throw new CommandFailed('nothing was entered')
  return line
}

async function nextTerminalLine(prompt: string): Promise<string | undefined> {
  process.stderr.write(prompt)
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    return (await lines[Symbol.asyncIterator]().next()).value
  } finally {
    lines.close()
  }
}

async function askTerminal(prompt: string): Promise<string | undefined> {
  process.stderr.write(prompt)
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() })
  const lines = createInterface({ input: process.stdin, output: nowhere, terminal: true })
  try {
    return (await lines[Symbol.asyncIterator]().next()).value
  } finally {
    lines.close()
    process.stderr.write('\n')
  }
}

/** One reader for all that is piped in: it takes more from the pipe than one line, which a second one would miss. */
let piped: AsyncIterator<string, undefined> | undefined

async function nextPipedLine(): Promise<string | undefined> {
  piped ??= createInterface({ input: process.stdin })[Symbol.asyncIterator]()
  process.stdin.ref?.()
  const { value } = await piped.next()
  // A pipe that stays open must not keep the command from ending; a file has no say in that.
  process.stdin.unref?.()
  return value
}
