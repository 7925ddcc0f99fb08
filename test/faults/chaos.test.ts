/**
 * `npm run chaos` as its users run it, with some of its faults and little time: no request may fail, whatever the machine.
 * How fast everything is has no place here: the bars are for a machine that has nothing else to do.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { FAULTS } from '../../scripts/chaos/faults.ts'
import type { Report } from '../../scripts/chaos/report.ts'
import { childrenOf, isAlive, listProcesses, waitUntil, waitUntilGone } from '../support/processes.ts'
import { makeFolder } from '../support/tokens.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
const RUN_MS = 240_000
const START_MS = 60_000
const GONE_MS = 5_000
/** One of each sort: a signal, an error, silence, a library that dies, a session that goes, a token that goes. */
const SOME = ['host-killed', 'device-error', 'mute', 'abort', 'sessions-closed', 'token-vanished']

interface Run {
  readonly child: ChildProcess
  /** Where it keeps its own folder. */
  readonly folder: string
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>
  stdout(): string
  stderr(): string
}

const folder = makeFolder()
const runs: Run[] = []

afterAll(async () => {
  for (const { child } of runs) child.kill('SIGTERM')
  await Promise.all(runs.map(({ ended }) => ended))
  folder.remove()
})

function chaos(args: readonly string[], command = ['./scripts/node', 'scripts/chaos/main.ts']): Run {
  const { PATH, HOME, STRONGROOM_TEST_RUN } = process.env
  const own = join(folder.path, `run-${runs.length}`)
  mkdirSync(own)
  const child = spawn(command[0]!, [...command.slice(1), ...args], {
    cwd: ROOT,
    env: { PATH, HOME, STRONGROOM_TEST_RUN, TMPDIR: own },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let [stdout, stderr] = ['', '']
  child.stdout.setEncoding('utf8').on('data', text => {
    stdout += text
  })
  child.stderr.setEncoding('utf8').on('data', text => {
    stderr += text
  })
  const ended: Run['ended'] = new Promise(resolve => child.once('close', (code, signal) => resolve({ code, signal })))
  const run = { child, folder: own, ended, stdout: () => stdout, stderr: () => stderr }
  runs.push(run)
  return run
}

const lastLine = (text: string) => text.trimEnd().split('\n').at(-1) ?? ''

describe('npm run chaos', () => {
  it('lists its faults', async () => {
    const run = chaos(['--list'], ['npm', 'run', '-s', 'chaos', '--'])
    expect(await run.ended).toMatchObject({ code: 0 })
    const names = run
      .stdout()
      .trimEnd()
      .split('\n')
      .map(line => line.split(' ', 1)[0])
    expect(names).toEqual([...FAULTS.map(({ name }) => name), 'all-down'])
  })

  it('refuses a fault that there is not', async () => {
    const run = chaos(['--fault', 'plague'])
    expect(await run.ended).toMatchObject({ code: 1 })
    expect(run.stderr()).toContain('host-killed')
  })
})

describe('two runs side by side', () => {
  let whole: Run
  let interrupted: Run
  let report: Report

  beforeAll(async () => {
    const load = ['--connections', '6', '--rate', '60']
    interrupted = chaos([...load, '--seconds', '600', '--fault', 'host-stopped'])
    const chosen = [...SOME, 'all-down'].flatMap(name => ['--fault', name])
    whole = chaos([...load, '--seconds', '10', ...chosen])
  })

  it(
    'leave neither a process nor a folder when one is told to stop in the middle of a fault',
    async () => {
      await waitUntil(() => interrupted.stderr().includes('host-stopped:'), START_MS, interrupted.stderr)
      const daemon = listProcesses().find(
        ({ command }) => command.includes('cli/main.ts serve') && command.includes(interrupted.folder),
      )!
      const pids = [daemon.pid, ...childrenOf(daemon.pid).map(({ pid }) => pid)]
      expect(pids.length).toBeGreaterThan(2)
      expect(readdirSync(interrupted.folder)).toHaveLength(1)
      interrupted.child.kill('SIGINT')
      expect(await interrupted.ended).toEqual({ code: null, signal: 'SIGINT' })
      await waitUntilGone(pids, GONE_MS)
      expect(readdirSync(interrupted.folder)).toEqual([])
      expect(interrupted.stdout()).toBe('')
    },
    START_MS + RUN_MS,
  )

  it(
    'reports every fault, and no request has failed',
    async () => {
      const { code } = await whole.ended
      report = JSON.parse(lastLine(whole.stdout())) as Report
      const inOrder = FAULTS.map(({ name }) => name).filter(name => SOME.includes(name))
      expect(report.faults.map(({ fault }) => fault)).toEqual(inOrder)
      for (const fault of report.faults) {
        expect(fault).toMatchObject({ failures: 0, recoverMs: expect.any(Number) })
        expect(fault.requests).toBeGreaterThan(10)
        expect(fault.worstMs).toBeGreaterThanOrEqual(fault.p99Ms)
        expect(whole.stdout()).toMatch(new RegExp(`^${fault.fault} +\\d`, 'm'))
      }
      expect(code).toBe(whole.stderr().includes('MISSED') ? 1 : 0)
    },
    RUN_MS,
  )

  it('reports apart what no token could serve, and that it was served again', () => {
    expect(report.allDown).toMatchObject({ unexpected: 0, recoverMs: expect.any(Number) })
    expect(report.allDown!.failures).toBeGreaterThan(10)
  })

  it('leaves nothing behind when it is through', () => {
    expect(readdirSync(whole.folder)).toEqual([])
    expect(listProcesses().filter(({ command }) => command.includes(whole.folder))).toEqual([])
    expect(isAlive(whole.child.pid!)).toBe(false)
    expect(existsSync(whole.folder)).toBe(true)
  })
})
