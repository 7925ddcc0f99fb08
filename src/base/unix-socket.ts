/** Unix domain sockets. */
import { connect } from 'node:net'

/** Whether somebody listens on a socket; not when it is absent, or left over from a process that has ended. */
export function isListening(path: string): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
