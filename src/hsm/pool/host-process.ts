/**
 * Starting a process of the crypto world and the service's end of its socket pairs. No other local user can reach a host:
 * its channels are inherited, they have no name.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Allocator, environmentFor } from './allocator.ts'

export const HOST_ENTRY = fileURLToPath(new URL('../host/main.ts', import.meta.url))
export const CEREMONY_ENTRY = fileURLToPath(new URL('../host/ceremony/main.ts', import.meta.url))

const CHANNEL_FD = 3
const OUTPUT_LINE_MAX = 500

export interface HostProcess {
  readonly child: ChildProcess
  /** The first channel; a host with several threads has one for each. */
  readonly channel: Socket
  readonly channels: readonly Socket[]
}

/**
 * Spawns a process of the crypto world. It gets none of this process' environment but what finds programs and names the
 * locale, and a process group of its own, so that Ctrl-C in a terminal reaches the daemon alone, which then drains. Throws
 * when there can be no process; one that ends at once, or could not be executed, shows in the child's `close`.
 */
export function spawnHost(
  entry: string,
  onOutput: (line: string) => void,
  { lanes = 1, allocator = 'system' }: { readonly lanes?: number; readonly allocator?: Allocator } = {},
): HostProcess {
  const { PATH, LANG, TZ } = process.env
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry], {
    detached: true,
    env: { PATH, LANG, TZ, ...environmentFor(allocator) },
    stdio: ['ignore', 'pipe', 'pipe', ...Array.from({ length: lanes }, () => 'pipe' as const)],
  })
  child.on('error', () => {})
  // At EMFILE and ENFILE, Node returns a child without streams, which the declaration knows nothing of.
  if ((child.stdio as typeof child.stdio | undefined) === undefined)
    throw new Error('no process could be spawned: there are too few file descriptors')
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', line => onOutput(line.slice(0, OUTPUT_LINE_MAX)))
  }
  const channels = child.stdio.slice(CHANNEL_FD) as Socket[]
  return { child, channel: channels[0] as Socket, channels }
}
