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
      '| `NumberOfBytes` | yes | integer, 1 to 1024 |',
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
    expect(page('docs/metrics.md')).toContain('| `strongroom_requests_total` | counter | `operation`, `outcome` |')
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
  const files = readdirSync(`${ROOT}docs`).map(name => `${ROOT}docs/${name}`)

  it.each(files)('of %s lead to files that are there', file => {
    const targets = [...readFileSync(file, 'utf8').matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)].map(
      ([, target]) => target ?? '',
    )
    const gone = targets.filter(target => !target.startsWith('https://') && !existsSync(resolve(dirname(file), target)))
    expect(gone).toEqual([])
  })
})
