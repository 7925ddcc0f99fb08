/** README's blocks, as they stand there: only the port is another, and `var` and `scripts` are links into a folder of the test's. */
import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterAll, beforeAll, expect, it } from '@jest/globals'
import { type Sandbox, startSandbox } from '../support/sandbox.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8')
const STORY_MS = 120_000

let sandbox: Sandbox
const folder = mkdtempSync(join(tmpdir(), 'strongroom-readme-'))

beforeAll(async () => {
  sandbox = await startSandbox()
  mkdirSync(join(folder, 'scripts'))
  symlinkSync(join(ROOT, 'scripts/strongroom'), join(folder, 'scripts/strongroom'))
  symlinkSync(sandbox.description.dir, join(folder, 'var'))
})

afterAll(async () => {
  await sandbox.stop()
  rmSync(folder, { recursive: true, force: true })
})

it('runs the first session word for word', async () => {
  const { stdout, stderr } = await runBlock('session')
  expect(stdout).toBe('42 gold bars\nrefused, as it must be\n')
  expect(stderr).toContain('InvalidCiphertextException')
})

it(
  'runs the story of two people word for word',
  async () => {
    const { stdout, stderr } = await runBlock('story')
    const said = blockAfter('story-output')
    expect(stdout.slice(0, said.length)).toBe(said)
    expect(stdout.slice(said.length)).toMatch(
      /^The caller is told: .*with an explicit deny in an identity-based policy\n$/,
    )
    // Nothing has failed but the four that are refused.
    expect(stderr.match(/An error occurred .*/g)).toEqual(
      Array(4).fill(expect.stringContaining('(AccessDeniedException) when calling the Decrypt operation')),
    )
  },
  STORY_MS,
)

/** With Debian's AWS CLI and a home without an AWS profile, as a newcomer has them. */
function runBlock(name: string): Promise<{ stdout: string; stderr: string }> {
  const block = blockAfter(name)
  expect(block).toContain('http://127.0.0.1:7600')
  const script = `set -e\n${block.replaceAll('http://127.0.0.1:7600', sandbox.description.endpoint)}`
  const env = { PATH: '/usr/bin:/bin', HOME: folder }
  return promisify(execFile)('bash', ['-c', script], { cwd: folder, env })
}

/** The code block below the comment of that name. */
function blockAfter(name: string): string {
  const [, block = ''] = new RegExp(`<!-- ${name}:[^>]*-->\\n\`\`\`(?:sh)?\\n([\\s\\S]*?)\`\`\``).exec(readme) ?? []
  return block
}
