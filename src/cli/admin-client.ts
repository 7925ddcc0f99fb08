/** The command's side of the admin socket. */
import { request } from 'node:http'
import type { AdminRequest, AdminRequestName } from '../admin/admin-socket.ts'

/** What the operator is told; the command ends with code 1. */
export class CommandFailed extends Error {
  override readonly name = 'CommandFailed'
}

/** Asks the running daemon. Throws {@link CommandFailed} when there is none, or with what it answered. */
export async function askDaemon<N extends AdminRequestName>(
  socketPath: string,
  name: N,
  body: AdminRequest<N>,
): Promise<unknown> {
  const { status, text } = await post(socketPath, `/${name}`, JSON.stringify(body))
  const answer: unknown = JSON.parse(text)
  if (status === 200) return answer
  throw new CommandFailed((answer as { error?: string }).error ?? `the daemon answered ${status}`)
}

function post(socketPath: string, path: string, body: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
    // A connection of its own: one that is kept may be closed by the daemon in the moment in which it is used again.
    const options = { socketPath, path, method: 'POST', headers, timeout: 30_000, agent: false }
    const outgoing = request(options, response => {
      const chunks: Buffer[] = []
      response.on('data', chunk => chunks.push(chunk))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      )
    })
    outgoing.on('timeout', () => outgoing.destroy(new Error('the daemon did not answer in 30 seconds')))
    outgoing.on('error', (error: NodeJS.ErrnoException) => {
      reject(new CommandFailed(unreachable(socketPath, error)))
    })
    outgoing.end(body)
  })
}

function unreachable(socketPath: string, { code, message }: NodeJS.ErrnoException): string {
  if (code === 'ENOENT' || code === 'ECONNREFUSED') return `no daemon is running (no one listens on ${socketPath})`
  if (code === 'EACCES') return `may not talk to the daemon on ${socketPath}: run this as the user that it runs as`
  return message
}
