/** The documents name commands and options of `strongroom` that are there. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from '@jest/globals'
import { Command } from 'commander'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const FILES = ['.', 'docs', 'config'].flatMap(folder =>
  readdirSync(ROOT + folder)
    .filter(name => /\.(?:md|yaml|service)$/.test(name))
    .map(name => `${folder}/${name}`),
)
/** Lines of the text that officers sign begin with the name too. */
const NO_COMMAND = /^approval request, version/

/** As src/cli/main.ts builds it, which cannot be imported: it runs the command. */
const program = new Command('strongroom')
for (const [, name = '', path = ''] of readFileSync(`${ROOT}src/cli/main.ts`, 'utf8').matchAll(
  /^import \{ (add\w+) \} from '\.\/([\w/-]+\.ts)'$/gm,
)) {
  const module: Record<string, (program: Command) => void> = await import(`${ROOT}src/cli/${path}`)
  module[name]?.(program)
}

/** What follows the word `strongroom` in code: in backticks, or on a line of a block. */
function mentions(text: string): string[] {
  const joined = text.replaceAll(/ *\\\n[# ]*/g, ' ')
  const spans = [...joined.matchAll(/`([^`\n]+)`|^(?:#? {2,})?((?:scripts\/)?strongroom .*)$/gm)]
  return spans.flatMap(([, inline, line]) => {
    const [, rest] = /^(?:\S*\/)?strongroom ([a-z].*)$/.exec(inline ?? line ?? '') ?? []
    return rest === undefined || NO_COMMAND.test(rest) ? [] : [rest.replace(/\s#.*$/, '')]
  })
}

function faultOf(mention: string): string | undefined {
  const words = mention.split(/\s+/)
  let command = program
  let taken = 0
  for (const word of words) {
    // Alternatives, as in `identity create|list`: the first one stands for all.
    const below = command.commands.find(each => each.name() === word.split('|')[0])
    if (below === undefined) break
    command = below
    taken += 1
  }
  const next = words[taken]
  // What has commands below takes nothing but one of them.
  if (command.commands.length > 0 && next !== undefined && /^[a-z]/.test(next)) return `no command ${next}`
  const options = words.filter(word => word.startsWith('--')).map(word => /^--[a-z-]+/.exec(word)?.[0])
  const unknown = options.filter(option => !command.options.some(({ long }) => long === option))
  return unknown.length === 0 ? undefined : `no option ${unknown.join(', ')}`
}

it('name what is there', () => {
  const all = new Set(FILES.flatMap(file => mentions(readFileSync(ROOT + file, 'utf8'))))
  expect(program.commands.length).toBeGreaterThan(7)
  expect(all.size).toBeGreaterThan(40)
  const faults = [...all].map(mention => [`strongroom ${mention}`, faultOf(mention)]).filter(([, fault]) => fault)
  expect(faults).toEqual([])
})
