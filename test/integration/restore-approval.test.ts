/** A copy from before dual control was turned on does not turn it off: the officers of the store that it replaces decide. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { type Instance, makeInstance } from '../support/instance.ts'
import { makeSshKey, type SshKey, signWithSsh } from '../support/ssh-keys.ts'

// Every command starts hosts of its own, and machines are busy.
jest.setTimeout(300_000)

describe('a copy that is restored in the place of a key store with dual control', () => {
  let instance: Instance
  let alice: SshKey
  let copy: string

  beforeAll(async () => {
    instance = await makeInstance(['a'])
    instance.configure(['a'])
    expect(await instance.init()).toMatchObject({ code: 0 })
    copy = join(instance.folder, 'copy.db')
    expect(await instance.run(['backup', copy])).toMatchObject({ code: 0 })
    alice = makeSshKey(instance.folder, 'alice')
    const added = await instance.run(['officer', 'add', 'alice', '--public-key', alice.publicKeyFile])
    expect(added).toMatchObject({ code: 0 })
    await approve(await asks(['officer', 'threshold', '1']))
    expect(await instance.run(['officer', 'threshold', '1'])).toMatchObject({ code: 0 })
  })

  afterAll(() => instance?.remove())

  const restore = () => ['restore', copy, '--replace', '--accept-older']

  /** The file with the text that officers are asked to sign. */
  async function asks(args: readonly string[]): Promise<string> {
    const { code, stderr } = await instance.run(args)
    const [, path] = /^Request [0-9a-f]{32},.* is in\n {2}(\S+)$/m.exec(stderr) ?? []
    expect({ code, path, stderr }).toMatchObject({ code: 1, path: expect.any(String) })
    return path!
  }

  async function approve(path: string): Promise<void> {
    const text = readFileSync(path, 'utf8')
    const [, id] = /^request: (\w+)$/m.exec(text) ?? []
    const signature = join(instance.folder, 'alice.sig')
    writeFileSync(signature, signWithSsh(alice, text))
    expect(await instance.run(['ceremony', 'approve', id!, '--signature', signature])).toMatchObject({ code: 0 })
  }

  const officers = async () => (await instance.run(['officer', 'list'])).stdout

  it('waits for the approval of that very copy, and changes nothing before', async () => {
    const asked = await asks(restore())
    const { sha256 } = JSON.parse(readFileSync(`${copy}.manifest`, 'utf8'))
    const text = readFileSync(asked, 'utf8')
    expect(text).toMatch(/^command: restore$/m)
    expect(text).toContain(`argument copy SHA-256: ${sha256}\n`)
    expect(text).toMatch(/^argument older key store: accepted$/m)
    expect(readdirSync(instance.stateDir).filter(name => /replaced|restoring/.test(name))).toEqual([])
    expect(await officers()).toContain('dual control is on')
    await approve(asked)
    expect(await instance.run(restore())).toMatchObject({ code: 0 })
    expect(await officers()).toContain('dual control is off')
    expect((await instance.run(['domain', 'history'])).stdout).toMatch(/ restore .* alice .*restored the backup/)
  })

  it('takes the place of a file that is no key store', async () => {
    writeFileSync(
      join(instance.stateDir, 'strongroom.db'),
      'not a database, and longer than the header of one'.repeat(9),
    )
    expect(await instance.run(restore())).toMatchObject({ code: 0 })
  })
})
