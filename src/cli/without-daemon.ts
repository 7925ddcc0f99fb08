/** For what may not be done beside a daemon. */
import { holdStateFolder } from '../compose-folder.ts'
import type { Configuration } from '../config/schema.ts'
import { openStateFolder } from '../config/state-folder.ts'

/**
 * Runs `work` while no daemon can start with the state folder. Throws NotReady while one runs, and says on stderr that it waits
 * for one that ends.
 */
export async function withoutDaemon<T>({ stateDir }: Configuration, work: () => Promise<T>): Promise<T> {
  using _held = await holdStateFolder(openStateFolder(stateDir), ({ path, holder, upToMs }) => {
    const by = holder === undefined ? 'another process' : `process ${holder}`
    process.stderr.write(
      `waiting for the state folder ${path}, which ${by} uses: for ${upToMs / 1_000} seconds at most\n`,
    )
  })
  return await work()
}
