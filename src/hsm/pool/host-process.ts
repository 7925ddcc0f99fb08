/**
 * Starting a process of the crypto world and the service's end of its socket pair. No other local user can reach a host:
 * the channel is inherited, it has no name.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import type { Socket } from 'node:net'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

export const HOST_ENTRY = fileURLToPath(new URL('../host/main.ts', import.meta.url))
export const CEREMONY_ENTRY = fileURLToPath(new URL('../host/ceremony/main.ts', import.meta.url))

const CHANNEL_FD = 3
const OUTPUT_LINE_MAX = 500

export interface HostProcess {
  readonly child: ChildProcess
  readonly channel: Socket
}

/**
 * Spawns a process of the crypto world. It gets none of this process' environment but what finds programs and names the
 * locale, and a process group of its own, so that Ctrl-C in a terminal reaches the daemon alone, which then drains.
 */
export function spawnHost(entry: string, onOutput: (line: string) => void): HostProcess {
  const { PATH, LANG, TZ } = process.env
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', entry], {
    detached: true,
    env: { PATH, LANG, TZ },
    stdio: ['ignore', 'pipe', 'pipe', 'pipe'],
  })
  for (const stream of [child.stdout, child.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', line => onOutput(line.slice(0, OUTPUT_LINE_MAX)))
  }
  return { child, channel: child.stdio[CHANNEL_FD] as Socket }
}
