/**
 * CPU time as the kernel counts it, read from outside the measured process so that measuring costs it nothing.
 *
 * `utime + stime` of /proc/PID/stat cover all threads, ended ones too, and the kernel scales their sum to the run time it
 * keeps in nanoseconds (sched/cputime.c): the error is one tick of 10 ms in seconds of measurement.
 */
import { readdirSync, readFileSync } from 'node:fs'

/** USER_HZ is 100 on every Linux that Strongroom runs on. */
const MICROSECONDS_PER_TICK = 10_000

interface ProcessTimes {
  readonly parent: number
  readonly ownUs: number
  /** Of children that have ended and were waited for. */
  readonly endedChildrenUs: number
}

/** CPU microseconds of one process since its start. Throws when it is not there. */
export function cpuOf(pid: number): number {
  const times = readTimes(pid)
  if (times === undefined) throw new Error(`process ${pid} has ended`)
  return times.ownUs
}

/** CPU of a process and of everything below it. A child that ends in between stays counted, through its parent. */
export interface TreeCpu {
  readonly rootUs: number
  readonly belowUs: number
}

/** What `alike` use is counted with the root. */
export function cpuOfTree(root: number, alike: readonly number[] = []): TreeCpu {
  const times = readTimes(root)
  if (times === undefined) throw new Error(`process ${root} has ended`)
  const processes = listProcesses()
  let rootUs = times.ownUs
  let belowUs = times.endedChildrenUs
  const parents = [root]
  for (const parent of parents) {
    for (const [pid, child] of processes) {
      if (child.parent !== parent) continue
      parents.push(pid)
      belowUs += child.endedChildrenUs
      if (alike.includes(pid)) rootUs += child.ownUs
      else belowUs += child.ownUs
    }
  }
  return { rootUs, belowUs }
}

/** CPU microseconds of the whole machine, stolen time included: what others used is what is left of it. */
export function cpuOfMachine(): number {
  const [user, nice, system, , , irq, softirq, steal] = readFileSync('/proc/stat', 'latin1')
    .split('\n', 1)[0]!
    .split(/ +/)
    .slice(1)
    .map(Number)
  return (user! + nice! + system! + irq! + softirq! + steal!) * MICROSECONDS_PER_TICK
}

function listProcesses(): Map<number, ProcessTimes> {
  const found = new Map<number, ProcessTimes>()
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue
    const times = readTimes(Number(name))
    if (times !== undefined) found.set(Number(name), times)
  }
  return found
}

/** The fields after the command name, which may hold spaces and parentheses: `) S ppid … utime stime cutime cstime`. */
function readTimes(pid: number): ProcessTimes | undefined {
  let text: string
  try {
    text = readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return undefined
  }
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ')
  const ticks = (index: number) => Number(fields[index])
  return {
    parent: ticks(1),
    ownUs: (ticks(11) + ticks(12)) * MICROSECONDS_PER_TICK,
    endedChildrenUs: (ticks(13) + ticks(14)) * MICROSECONDS_PER_TICK,
  }
}
