/**
 * Child process: starts the sandbox and stops it when it is told to, or when whoever wanted it is gone: the sandbox has
 * no channel to its user, so without a keeper it would outlive one that was killed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { answer } from './child.ts'

/** The line that a sandbox prints when it is ready. */
export interface SandboxDescription {
  readonly endpoint: string
  readonly region: string
  readonly accountId: string
  readonly accessKeyId: string
  readonly secretAccessKey: string
  /** The daemon. The sandbox's own process, which started it, is no part of the server. */
  readonly pid: number
  /** Those that take connections, where the daemon's first process does not. */
  readonly servicePids: readonly number[]
  readonly hsmHostPids: readonly number[]
  /** Its folder, which it removes when it ends. */
  readonly dir: string
}

const NODE = fileURLToPath(new URL('../node', import.meta.url))
const SCRIPT = fileURLToPath(new URL('../sandbox.ts', import.meta.url))
const START_MS = 60_000
const KILL_MS = 15_000

let sandbox: ChildProcess | undefined
let description: SandboxDescription | undefined

const answers = {
  /** Starts a sandbox on a free port; what it has to say otherwise goes to stderr. */
  async start({ processes = 1 }: { readonly processes?: number }): Promise<SandboxDescription> {
    const child = spawn(NODE, [SCRIPT, '--port', '0', '--processes', String(processes)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    sandbox = child
    const timer = setTimeout(() => child.kill('SIGTERM'), START_MS)
    try {
      description = await new Promise<SandboxDescription>((resolve, reject) => {
        createInterface({ input: child.stdout }).once('line', line => resolve(JSON.parse(line)))
        child.once('error', reject)
        child.once('close', code => reject(new Error(`the sandbox did not start (exit code ${code})`)))
      })
      return description
    } finally {
      clearTimeout(timer)
    }
  },
}
export type SandboxKeeper = typeof answers

// A terminal's Ctrl-C reaches this process too: it stays until the sandbox has ended.
for (const signal of ['SIGINT', 'SIGHUP'] as const) process.on(signal, () => {})

answer(answers, async () => {
  if (sandbox === undefined || sandbox.exitCode !== null || sandbox.signalCode !== null) return
  const ended = once(sandbox, 'exit')
  sandbox.kill('SIGTERM')
  setTimeout(() => sandbox?.kill('SIGKILL'), KILL_MS)
  await ended
  if (sandbox.signalCode !== 'SIGKILL') return
  process.stderr.write(`the sandbox did not stop within ${KILL_MS / 1_000} s and was killed\n`)
  if (description !== undefined) rmSync(description.dir, { recursive: true, force: true })
})
