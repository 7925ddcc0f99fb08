/** The state folder: made for its owner alone, and only by those who use it. */
import { existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals'
import { ConfigurationError } from '../../../src/config/load.ts'
import { openStateFolder, stateFolderAt } from '../../../src/config/state-folder.ts'
import { makeTemporaryFolder } from '../store/records.ts'

describe('the state folder', () => {
  let folder: ReturnType<typeof makeTemporaryFolder>

  beforeEach(() => {
    folder = makeTemporaryFolder()
  })

  afterEach(() => folder.remove())

  it('is made with mode 0700, and brought to it', () => {
    const fresh = join(folder.path, 'not', 'there')
    expect(openStateFolder(fresh).store).toBe(join(fresh, 'strongroom.db'))
    expect(statSync(fresh).mode & 0o777).toBe(0o700)
    const open = join(folder.path, 'open')
    mkdirSync(open, { mode: 0o755 })
    openStateFolder(open)
    expect(statSync(open).mode & 0o777).toBe(0o700)
  })

  it('is not made by those who only ask for its paths', () => {
    const path = join(folder.path, 'absent')
    expect(stateFolderAt(path).adminSocket).toBe(join(path, 'admin.sock'))
    expect(existsSync(path)).toBe(false)
  })

  it('is refused, and not made, when its sockets would have longer paths than sockets have', () => {
    const shortest = Buffer.byteLength(join(folder.path, 'x', 'ceremony.sock'))
    const longest = join(folder.path, 'x'.repeat(1 + 107 - shortest))
    expect(Buffer.byteLength(openStateFolder(longest).ceremonySocket)).toBe(107)
    const longer = `${longest}é`
    const refused = new ConfigurationError(
      `stateDir: ${longer} is 2 bytes too long: the path of a socket has 107 at most`,
    )
    expect(() => openStateFolder(longer)).toThrow(refused)
    expect(() => stateFolderAt(longer)).toThrow(refused)
    expect(existsSync(longer)).toBe(false)
  })

  it('is named when it cannot be used', () => {
    const file = join(folder.path, 'file')
    writeFileSync(file, '')
    const path = join(file, 'state')
    expect(() => openStateFolder(path)).toThrow(new ConfigurationError(`stateDir: cannot use ${path} (ENOTDIR)`))
  })
})
