/**
 * Dual control through the strongroom command, as operators and officers go about it: two of three officers approve, one of
 * them with a key in a token behind ssh-agent.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type Instance, makeInstance } from '../support/instance.ts'
import type { Finished } from '../support/sandbox.ts'
import { makeCardKey, makeSshKey, signWithSsh } from '../support/ssh-keys.ts'
import { REGION } from '../support/tokens.ts'

const domainOf = (instance: Instance) => instance.withStore(store => store.reader.findDomain(REGION))

interface Asked {
  readonly id: string
  readonly path: string
}

describe('dual control', () => {
  let instance: Instance
  let signers: Readonly<Record<string, (message: string) => string>>

  beforeAll(async () => {
    instance = await makeInstance(['a', 'b'])
    instance.configure(['a', 'b'])
    const { folder } = instance
    const [alice, bob, card] = [makeSshKey(folder, 'alice'), makeSshKey(folder, 'bob'), makeCardKey(folder, 'carol')]
    signers = {
      alice: message => signWithSsh(alice, message),
      bob: message => signWithSsh(bob, message),
      carol: message => card.sign(message),
    }
    for (const name of Object.keys(signers)) {
      const added = await instance.run(['officer', 'add', name, '--public-key', join(folder, `${name}.pub`)])
      expect(added).toMatchObject({ code: 0, stderr: '' })
    }
  })

  afterAll(() => instance?.remove())

  /** What a command that was refused asks officers for. */
  function askedBy({ code, stdout, stderr }: Finished): Asked {
    expect({ code, stdout }).toMatchObject({ code: 1, stdout: '' })
    const [, id = '', path = ''] = /^Request ([0-9a-f]{32}),.* is in\n {2}(\S+)$/m.exec(stderr) ?? []
    expect(stderr).toMatch(/^strongroom: this needs the approval of \d of \d officers and has that of \d/)
    return { id, path }
  }

  async function approve({ id, path }: Asked, name: string): Promise<Finished> {
    const file = join(instance.folder, `${name}.sig`)
    writeFileSync(file, signers[name]!(readFileSync(path, 'utf8')))
    return instance.run(['ceremony', 'approve', id, '--signature', file])
  }

  async function list(...args: string[]): Promise<Record<string, string>[]> {
    const { stdout } = await instance.run(['ceremony', 'list', '--output', 'json', ...args])
    return JSON.parse(stdout)
  }

  it('is off until as many as it takes have signed for it', async () => {
    expect((await instance.run(['officer', 'list'])).stdout).toMatch(
      /^NAME .*\nalice +ssh-ed25519 +SHA256:.*\nbob .*\ncarol +ecdsa-sha2-nistp256 .*\ndual control is off\n$/,
    )
    const threshold = ['officer', 'threshold', '2']
    const asked = askedBy(await instance.run(threshold))
    expect(await approve(asked, 'alice')).toMatchObject({ code: 0, stderr: '' })
    expect(askedBy(await instance.run(threshold))).toEqual(asked)
    expect((await instance.run(['officer', 'list'])).stdout).toContain('dual control is off')
    expect((await approve(asked, 'carol')).stdout).toBe(
      `request ${asked.id}: approved by carol; it has 2 valid approvals\n`,
    )
    expect(await instance.run(threshold)).toEqual({
      ...{ code: 0, stdout: 'dual control is on: a ceremony needs the approval of 2\n', stderr: '' },
    })
    const { stdout } = await instance.run(['officer', 'list', '--output', 'json'])
    expect(JSON.parse(stdout)).toMatchObject({ threshold: 2, officers: [{ name: 'alice' }, {}, {}] })
  })

  it('shows what waits, byte for byte, and who approved what has run', async () => {
    const asked = askedBy(await instance.run(['officer', 'remove', 'bob']))
    await approve(asked, 'bob')
    expect((await instance.run(['ceremony', 'show', asked.id, '--text'])).stdout).toBe(readFileSync(asked.path, 'utf8'))
    const { stdout } = await instance.run(['ceremony', 'show', asked.id])
    expect(stdout).toMatch(/^command: officer remove\nargument key: SHA256:.*\nargument name: bob$/m)
    expect(stdout).toMatch(/^bob +SHA256:\S+ +\S+ +yes +no$/m)
    expect(await list()).toEqual([
      expect.objectContaining({ request: asked.id, state: 'open', command: 'officer remove', approvals: 'bob' }),
    ])
    expect((await instance.run(['ceremony', 'cancel', asked.id])).stdout).toBe(`request ${asked.id}: cancelled\n`)
    expect(await list()).toEqual([])
    expect(await list('--all')).toEqual([
      expect.objectContaining({ request: asked.id, state: 'cancelled' }),
      expect.objectContaining({ command: 'officer threshold', state: 'done', approvals: 'alice,carol' }),
    ])
  })

  it('keeps init from making a domain until two have approved, for the tokens that they were told of', async () => {
    const init = ['init', '--so-pin-file', instance.officerPinFile]
    const asked = askedBy(await instance.run(init))
    expect(await domainOf(instance)).toBeUndefined()
    expect(readFileSync(asked.path, 'utf8')).toMatch(
      /^argument region: on-prem-1\nargument token 1 of on-prem-1: "a" \(\w+\)\nargument token 2 of on-prem-1: "b" \(\w+\)$/m,
    )
    await approve(asked, 'alice')
    expect((await approve(asked, 'alice')).stderr).toBe('strongroom: alice has approved this request already\n')
    expect(askedBy(await instance.run(init))).toEqual(asked)
    await approve(asked, 'carol')
    // Approved for two tokens, it does not run for another set of them.
    instance.configure(['a'])
    expect(askedBy(await instance.run(init)).id).not.toBe(asked.id)
    expect(await domainOf(instance)).toBeUndefined()
    instance.configure(['a', 'b'])
    expect(await instance.run(init)).toMatchObject({ code: 0, stderr: '' })
    expect((await domainOf(instance))?.tokens.map(({ label, state }) => [label, state])).toEqual([
      ['a', 'enrolled'],
      ['b', 'enrolled'],
    ])
    const records = await instance.withStore(store => store.reader.listCeremonies(REGION))
    expect(records.length).toBeGreaterThan(2)
    for (const { officers } of records) expect(officers).toEqual(['alice', 'carol'])
  }, 300_000)

  it('lets init run again where there is nothing left to do', async () => {
    expect(await instance.run(['init'])).toMatchObject({ code: 0, stderr: '' })
  })

  it('lets an approved rotation run once, with whatever interrupts it', async () => {
    const rotate = ['domain', 'rotate', '--so-pin-file', instance.officerPinFile]
    const asked = askedBy(await instance.run(rotate))
    for (const name of ['bob', 'alice']) expect(await approve(asked, name)).toMatchObject({ code: 0 })
    const killed = instance.start([...rotate, '--config', instance.configure(['a', 'b'])])
    killed.stdout!.setEncoding('utf8').on('data', text => /made version 2/.test(text) && killed.kill('SIGKILL'))
    expect(await new Promise(resolve => killed.once('close', (_, signal) => resolve(signal)))).toBe('SIGKILL')
    expect((await domainOf(instance))?.rotation).toMatchObject({ to: 2, step: 'making' })
    expect(await list()).toContainEqual(expect.objectContaining({ request: asked.id, state: 'started' }))
    expect(await instance.run(rotate)).toMatchObject({ code: 0 })
    const versions = async () => new Set((await domainOf(instance))!.versions.map(({ version }) => version))
    expect(await versions()).toEqual(new Set([1, 2]))
    expect(askedBy(await instance.run(rotate)).id).not.toBe(asked.id)
    expect(await versions()).toEqual(new Set([1, 2]))
    expect((await instance.run(['domain', 'history'])).stdout).toMatch(/domain rotate .* alice,bob /)
    // Every command starts hosts of its own, which takes seconds on a busy machine.
  }, 300_000)

  it.each([
    [['officer', 'add', 'dave', '--public-key', '/nowhere.pub'], 'cannot read /nowhere.pub (ENOENT)'],
    [['officer', 'remove', 'dave'], 'there is no officer dave: see strongroom officer list'],
    [['ceremony', 'approve', '0'.repeat(32), '--signature', '/dev/null'], '/dev/null is not a file of at most 16 KiB'],
    [['ceremony', 'cancel', 'f'.repeat(32)], `there is no request ${'f'.repeat(32)}: see strongroom ceremony list`],
  ])('says what is wrong with %j', async (args, message) => {
    expect(await instance.run(args)).toEqual({ code: 1, stdout: '', stderr: `strongroom: ${message}\n` })
  })
})
