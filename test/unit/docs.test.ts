/** The pages of docs/: the generated ones are what the code says today, and no link leads nowhere. */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { generateDocs, staleDocs } from '../../scripts/generate-docs.ts'
import { catalogue } from '../../src/model/errors.ts'
import { OPERATION_NAMES } from '../../src/model/operations.ts'
import { registry } from '../../src/operations/registry.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const pages = generateDocs()
const page = (path: string) => pages.get(path) ?? ''

describe('the generated pages', () => {
  it('are up to date: if not, run ./scripts/node scripts/generate-docs.ts', () => {
    expect(staleDocs()).toEqual([])
  })

  it('name every operation, and describe those that are served', () => {
    expect(OPERATION_NAMES).toHaveLength(56)
    const text = page('docs/operations.md')
    for (const name of OPERATION_NAMES) expect(text).toMatch(new RegExp(`^\\| \\[?${name}[\\] ]`, 'm'))
    expect(text.match(/^### \w+$/gm)).toEqual(
      OPERATION_NAMES.filter(name => registry.has(name)).map(name => `### ${name}`),
    )
  })

  it('have the bounds of text, blobs, numbers, lists and maps', () => {
    const text = page('docs/operations.md')
    for (const row of [
      '| `KeyId` | yes | text, 1 to 2048 characters |',
      '| `Plaintext` | yes | blob, 1 to 4096 bytes |',
      '| `NumberOfBytes` | no | integer, 1 to 1024 |',
      '| `GrantTokens` | no | list, 0 to 10; each: text, 1 to 8192 characters |',
      '| `EncryptionContext` | no | map of text to text, at most 8192 bytes of UTF-8 together |',
      '| `Tags[].TagKey` | yes | text, 1 to 128 characters |',
    ])
      expect(text).toContain(row)
  })

  it('name every error code', () => {
    for (const code of Object.keys(catalogue)) expect(page('docs/errors.md')).toContain(`| \`${code}\` |`)
  })

  it('name metrics with their labels', () => {
    const row = '| `strongroom_requests_total` | counter | `operation`, `outcome`, `account` |'
    expect(page('docs/metrics.md')).toContain(row)
  })
})

describe('docs/formats.md', () => {
  const text = readFileSync(`${ROOT}docs/formats.md`, 'utf8')
  const sections = text.split(/^## /m).slice(1)

  it.each(sections)('has the byte tables of the source: %.20s', section => {
    const [, source = ''] = /\]\(\.\.\/(src\/[^)]+)\)/.exec(section) ?? []
    const comment = readFileSync(ROOT + source, 'utf8').replaceAll(/^ \* ?/gm, '')
    const tables = section.match(/```\n[\s\S]*?\n```|(?:^\|.*\n?)+/gm) ?? []
    expect(tables).not.toEqual([])
    for (const table of tables) expect(comment).toContain(table.trimEnd())
  })
})

describe('links', () => {
  const markdown = (folder: string) =>
    readdirSync(ROOT + folder)
      .filter(name => name.endsWith('.md'))
      .map(name => `${folder}${name}`)
  const files = [...markdown(''), ...markdown('docs/')]

  it.each(files)('of %s lead to files and headings that are there', file => {
    const targets = [...readFileSync(ROOT + file, 'utf8').matchAll(/\]\(([^)]+)\)/g)].map(([, target]) => target ?? '')
    const gone = targets.filter(target => {
      if (target.startsWith('https://')) return false
      const [path = '', anchor] = target.split('#')
      const there = path === '' ? ROOT + file : resolve(dirname(ROOT + file), path)
      return !existsSync(there) || (anchor !== undefined && !anchorsOf(there).includes(anchor))
    })
    expect(gone).toEqual([])
  })

  it('of docs/README.md lead to every document', () => {
    const index = readFileSync(`${ROOT}docs/README.md`, 'utf8')
    for (const file of markdown('docs/').filter(name => name !== 'docs/README.md'))
      expect(index).toContain(`](${file.slice('docs/'.length)})`)
  })
})

/** As GitHub makes them of headings. */
function anchorsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^#+ (.*)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

describe('README', () => {
  const text = readFileSync(`${ROOT}README.md`, 'utf8')

  it('counts the operations', () => {
    expect(text).toContain(`**${registry.size} of the ${OPERATION_NAMES.length} operations**`)
  })

  it('has every folder of src/ on its map', () => {
    const [, map = ''] = /```\nsrc\/\n([\s\S]*?)```/.exec(text) ?? []
    const words = map.match(/(?<![\w/])(?!test\/)[\w-]+(?=\/)/g) ?? []
    const folders = readdirSync(`${ROOT}src`, { recursive: true, withFileTypes: true })
      .filter(entry => entry.isDirectory())
      // Groups of operations, requests of the admin socket and the like: one line stands for them.
      .filter(({ parentPath }) => !/src\/(?:operations|admin)$/.test(parentPath))
      .map(({ name }) => name)
    expect([...new Set(words)].sort()).toEqual([...new Set(folders)].sort())
  })
})
