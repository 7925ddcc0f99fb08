/**
 * Threads in a host, for tokens that wait on a network: each has a lane of its own. The main thread has opened the token
 * and logged in, which holds for the process; it keeps its sessions, and so the login, and serves nothing itself.
 */
import { SHARE_ENV, Worker } from 'node:worker_threads'
import type { CompleteHostConfiguration } from '../contract/host-configuration.ts'
import { CHANNEL_FD } from './channel.ts'
import type { Token, TokenIdentity } from './token.ts'

const ENTRY = new URL('lane-thread.ts', import.meta.url)
/** A lane works in few buffers that it keeps; what it caches lies in the token's library. */
const HEAP = { maxOldGenerationSizeMb: 64, maxYoungGenerationSizeMb: 4, stackSizeMb: 2 }

/** What a thread is given. The library is loaded in the process already. */
export interface LaneThreadData {
  readonly fd: number
  readonly token: TokenIdentity & { readonly slot: Uint8Array }
  readonly configuration: CompleteHostConfiguration
}

/** Starts the lanes; resolves when all are ready. `ended` resolves when the daemon has closed every channel. */
export async function serveByThreads(
  { slot, label, serial, manufacturer, model }: Token,
  configuration: CompleteHostConfiguration,
): Promise<{ readonly ended: Promise<unknown> }> {
  const token = { label, serial, manufacturer, model, slot }
  const workers = Array.from({ length: configuration.threads }, (_, lane) => {
    const workerData: LaneThreadData = { fd: CHANNEL_FD + lane, token, configuration }
    return new Worker(ENTRY, { workerData, env: SHARE_ENV, resourceLimits: HEAP })
  })
  const ended = workers.map(worker => new Promise<void>(resolve => worker.once('exit', () => resolve())))
  for (const worker of workers) worker.once('error', endAtOnce)
  await Promise.all(workers.map(worker => new Promise(resolve => worker.once('message', resolve))))
  return { ended: Promise.all(ended) }
}

/** A process that exits while another thread is in the library crashes there: it ends without asking the library. */
function endAtOnce(error: Error): void {
  process.stderr.write(`a lane ended: ${error.message}\n`, () => process.kill(process.pid, 'SIGKILL'))
}
