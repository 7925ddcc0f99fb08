/**
 * One ceremony at a time for one state folder: whoever listens on its socket has the floor, and the kernel takes it from a
 * process that dies. A courtesy to operators: what protects a domain from two ceremonies is the generation of its row.
 */
import { rmSync } from 'node:fs'
import { createServer } from 'node:net'
import { isListening } from '../../base/unix-socket.ts'
import { CommandFailed } from '../admin-client.ts'

/** Throws {@link CommandFailed} while another ceremony runs. Disposing yields the floor. */
export async function takeTheFloor(socketPath: string): Promise<AsyncDisposable> {
  if (await isListening(socketPath)) throw busy()
  rmSync(socketPath, { force: true })
  const server = createServer(socket => socket.destroy())
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => reject(error.code === 'EADDRINUSE' ? busy() : error))
    server.listen(socketPath, resolve)
  })
  return { [Symbol.asyncDispose]: () => new Promise(resolve => server.close(() => resolve())) }
}

function busy(): CommandFailed {
  return new CommandFailed('another ceremony is running with this state folder: wait for its end')
}
