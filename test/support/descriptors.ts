/** Runs this process out of file descriptors, as a daemon may that has too many connections. */
import { execFileSync } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'

/** What a process is allowed meanwhile: it may be allowed a million otherwise, and to take them takes long. */
const LIMIT = 1_024

export interface TakenDescriptors extends Disposable {
  /** Takes those too that were freed meanwhile. */
  takeAgain(): void
}

/** Takes every descriptor that this process could still open. Disposing of it gives them back. */
export function takeDescriptors(): TakenDescriptors {
  const limit = (...args: readonly string[]) =>
    execFileSync('prlimit', ['--pid', `${process.pid}`, ...args], { encoding: 'utf8' }).trim()
  const usual = limit('--nofile', '--output', 'SOFT', '--noheadings', '--raw')
  limit(`--nofile=${LIMIT}:`)
  const taken: number[] = []
  const takeAgain = () => {
    try {
      for (;;) taken.push(openSync('/dev/null', 'r'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EMFILE') throw error
    }
  }
  takeAgain()
  return {
    takeAgain,
    [Symbol.dispose]() {
      for (const descriptor of taken) closeSync(descriptor)
      limit(`--nofile=${usual}:`)
    },
  }
}
