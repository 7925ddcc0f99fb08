/** Processes as Linux shows them: whose child is whose, what they were started with, and whether they are still there. */
import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

export interface Process {
  readonly pid: number
  readonly parent: number
  /** Its arguments, joined by blanks. */
  readonly command: string
}

/** Every process but those that have ended and wait for their parent to notice. */
export function listProcesses(): Process[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => readProcess(Number(name)) ?? [])
}

export function childrenOf(pid: number): Process[] {
  return listProcesses().filter(({ parent }) => parent === pid)
}

export function isAlive(pid: number): boolean {
  return readProcess(pid) !== undefined
}

/** Throws when a process is still there after `timeoutMs`. */
export async function waitUntilGone(pids: readonly number[], timeoutMs: number): Promise<void> {
  const left = () => pids.filter(isAlive)
  await waitUntil(
    () => left().length === 0,
    timeoutMs,
    () => `still running: ${left().join(', ')}`,
  )
}

/** Throws `what` when the condition does not hold after `timeoutMs`. */
export async function waitUntil(
  condition: () => boolean | Promise<boolean>,
  timeoutMs: number,
  what: () => string = () => 'it did not happen',
): Promise<void> {
  const until = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > until) throw new Error(`after ${timeoutMs} ms: ${what()}`)
    await sleep(20)
  }
}

export function parentOf(pid: number): number {
  return readProcess(pid)?.parent ?? 0
}

function readProcess(pid: number): Process | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim()
    // The name stands in brackets and may hold anything, blanks and brackets too.
    const [state, parent] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return state === 'Z' ? undefined : { pid, parent: Number(parent), command }
  } catch {
    return undefined
  }
}
