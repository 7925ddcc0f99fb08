/** The lock on a file, between processes: had by one, shown by the kernel, and free when that one is killed. */
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { holderOfFileLock, takeFileLock } from '../../../src/store/file-lock.ts'
import { makeTemporaryFolder } from './records.ts'

const MODULE = fileURLToPath(new URL('../../../src/store/file-lock.ts', import.meta.url))
/** Says whether it has the lock, and stays. */
const TAKES = `
  const { takeFileLock } = await import(${JSON.stringify(MODULE)})
  globalThis.held = takeFileLock(process.argv[1])
  process.stdout.write(globalThis.held === undefined ? 'taken' : 'held')
  setInterval(() => {}, 60_000)
`

describe('the lock on a file', () => {
  let folder: ReturnType<typeof makeTemporaryFolder>
  let path: string
  const children: ChildProcess[] = []

  beforeEach(() => {
    folder = makeTemporaryFolder()
    path = join(folder.path, 'lock')
  })

  afterEach(() => {
    for (const child of children.splice(0)) child.kill('SIGKILL')
    folder.remove()
  })

  async function takeElsewhere(): Promise<{ child: ChildProcess; said: string }> {
    const options = ['--disable-warning=ExperimentalWarning', '--input-type=module', '--eval', TAKES, path]
    const child = spawn(process.execPath, options, { stdio: ['ignore', 'pipe', 'inherit'], env: {} })
    children.push(child)
    const [said] = await once(child.stdout!.setEncoding('utf8'), 'data')
    return { child, said }
  }

  it('is had by one at a time, and leaves an empty file that only this user reads', () => {
    const held = takeFileLock(path)
    expect(held).toBeDefined()
    expect(takeFileLock(path)).toBeUndefined()
    expect(readdirSync(folder.path)).toEqual(['lock'])
    expect(statSync(path)).toMatchObject({ size: 0 })
    expect(statSync(path).mode & 0o777).toBe(0o600)
    held![Symbol.dispose]()
    takeFileLock(path)![Symbol.dispose]()
  })

  it('is kept from other processes, whoever else tries for it in this one', async () => {
    using _held = takeFileLock(path)!
    expect(takeFileLock(path)).toBeUndefined()
    expect((await takeElsewhere()).said).toBe('taken')
    expect([process.pid, undefined]).toContain(holderOfFileLock(path))
  })

  it('is free when the process that had it is killed', async () => {
    const { child, said } = await takeElsewhere()
    expect(said).toBe('held')
    expect(takeFileLock(path)).toBeUndefined()
    // Not every file system shows it.
    expect([child.pid, undefined]).toContain(holderOfFileLock(path))
    child.kill('SIGKILL')
    await once(child, 'close')
    expect(holderOfFileLock(path)).toBeUndefined()
    takeFileLock(path)![Symbol.dispose]()
  })

  it('is refused with the reason where the file can be none', () => {
    writeFileSync(path, 'a file of another program, longer than the header of a database'.repeat(9))
    expect(() => takeFileLock(path)).toThrow(/not a database/)
    expect(holderOfFileLock(join(folder.path, 'absent'))).toBeUndefined()
  })
})
