/** README's first session, as it stands there: only the port is another, and the credentials lie in a folder of the test's. */
import { execFile } from 'node:child_process'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { type Sandbox, startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
const folder = mkdtempSync(join(tmpdir(), 'strongroom-readme-'))

beforeAll(async () => {
  sandbox = await startSandbox()
})

afterAll(async () => {
  await sandbox.stop()
  rmSync(folder, { recursive: true, force: true })
})

it('runs word for word', async () => {
  const readme = readFileSync(new URL('../../README.md', import.meta.url), 'utf8')
  const [, session] = /<!-- session:[^>]*-->\n```sh\n([\s\S]*?)```/.exec(readme) ?? []
  expect(session).toContain('http://127.0.0.1:7600')
  const { endpoint, dir } = sandbox.description
  mkdirSync(join(folder, 'var'))
  copyFileSync(join(dir, 'credentials'), join(folder, 'var', 'credentials'))
  const script = `set -e\n${session?.replaceAll('http://127.0.0.1:7600', endpoint)}`
  // Debian's AWS CLI and a home without an AWS profile, as a newcomer has them.
  const env = { PATH: '/usr/bin:/bin', HOME: folder }
  const { stdout, stderr } = await promisify(execFile)('bash', ['-c', script], { cwd: folder, env })
  expect(stdout).toBe('42 gold bars\nrefused, as it must be\n')
  expect(stderr).toContain('InvalidCiphertextException')
})
