/** For what may not be done beside a daemon. */
import { connect } from 'node:net'
import type { Configuration } from '../config/schema.ts'
import { stateFolderAt } from '../config/state-folder.ts'
import { CommandFailed } from './admin-client.ts'

/** Throws {@link CommandFailed} while a daemon answers on the admin socket. */
export async function requireNoDaemon({ stateDir }: Configuration): Promise<void> {
  const { adminSocket } = stateFolderAt(stateDir)
  const answered = await new Promise<boolean>(resolve => {
    const socket = connect(adminSocket)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
  if (answered)
    throw new CommandFailed(`a daemon is running with this state folder (it answers on ${adminSocket}): stop it first`)
}
