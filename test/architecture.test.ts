/**
 * Who may import whom: the imports of every file under src/, type imports included, held to the tables below. The
 * checker is tested too, on small trees that break one rule each.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { parseSync } from '@swc/core'

/** Parts of src/ by level, the highest first. A part imports its own files and parts of lower levels, never a neighbour. */
const LEVELS: readonly (readonly string[])[] = [
  [
    ...['main.ts', 'service.ts', 'compose.ts', 'compose-service.ts', 'compose-listener.ts', 'compose-services.ts'],
    ...['compose-audit.ts', 'compose-chain.ts', 'compose-forwarding.ts', 'compose-rows.ts', 'compose-pools.ts', 'cli'],
    'compose-folder.ts',
  ],
  ['api', 'console', 'tasks', 'admin', 'processes'],
  ['operations', 'identities', 'sts', 'cloudtrail'],
  ['keyring', 'access'],
  ['store', 'hsm/pool', 'hsm/host', 'audit'],
  ['hsm/contract', 'telemetry', 'formats', 'model'],
  ['base', 'config'],
]

/** The order inside a level: neighbours that a part may import all the same. */
const NEIGHBOURS: Readonly<Record<string, readonly string[]>> = {
  // `serve` runs the daemon; ceremonies compose pools themselves, and never the daemon's parts.
  cli: ['main.ts', 'compose-rows.ts', 'compose-pools.ts', 'compose-folder.ts'],
  'main.ts': ['compose.ts'],
  'service.ts': ['compose-service.ts', 'compose-pools.ts'],
  'compose.ts': [
    ...['compose-audit.ts', 'compose-listener.ts', 'compose-services.ts', 'compose-pools.ts', 'compose-folder.ts'],
  ],
  'compose-folder.ts': ['compose-pools.ts'],
  'compose-service.ts': ['compose-audit.ts', 'compose-chain.ts', 'compose-listener.ts', 'compose-services.ts'],
  'compose-listener.ts': ['compose-services.ts', 'compose-pools.ts'],
  'compose-services.ts': ['compose-rows.ts', 'compose-pools.ts'],
  'compose-audit.ts': ['compose-chain.ts', 'compose-forwarding.ts'],
  'compose-chain.ts': ['compose-services.ts', 'compose-pools.ts'],
  'compose-forwarding.ts': ['compose-pools.ts'],
  'compose-rows.ts': ['compose-pools.ts'],
  // What one process of the daemon asks of another is theirs.
  processes: ['api', 'admin'],
  // Who a caller is stands beside what it does.
  operations: ['identities'],
  sts: ['identities'],
  'hsm/contract': ['formats', 'model'],
  formats: ['model'],
  config: ['base'],
}

/** Parts that may import less than their level gives them. */
const ONLY: Readonly<Record<string, readonly string[]>> = {
  'hsm/host': ['hsm/contract', 'formats', 'model', 'base'],
}

/** Parts that nobody imports: they are started as processes. */
const IMPORTED_BY_NOBODY: readonly string[] = ['hsm/host', 'service.ts']

/** Packages that belong to some parts alone. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  pkcs11js: ['hsm/host'],
  'graphene-pk11': ['hsm/host'],
  koffi: ['hsm/host'],
  kysely: ['store'],
  'node:sqlite': ['store'],
  express: ['api', 'admin'],
  '@opentelemetry/api': ['telemetry'],
  '@opentelemetry/core': ['telemetry'],
  '@opentelemetry/exporter-trace-otlp-http': ['telemetry'],
  '@opentelemetry/resources': ['telemetry'],
  '@opentelemetry/sdk-trace': ['telemetry'],
}

/** Parts without I/O and clock, and what they may take from Node. */
const PURE: Readonly<Record<string, readonly string[]>> = {
  model: ['node:crypto'],
  formats: ['node:crypto'],
}

/** Where a file may be called index.ts: it is a list of what its folder holds. */
const LISTS: readonly RegExp[] = [/^operations\/[^/]+\/index\.ts$/, /^hsm\/host\/commands\/index\.ts$/]

/** Folders of files that are sent to a browser, not run by Node. */
const NOT_CODE = /^console\/assets\//

/** Paths from src/ to source text. */
type Tree = ReadonlyMap<string, string>

describe('the imports of src/', () => {
  const tree = readTree(fileURLToPath(new URL('../src/', import.meta.url)))

  it('are read from the tree that is there', () => {
    expect(tree.size).toBeGreaterThan(20)
    expect(importsOf('formats/ekt.ts', tree)).toEqual(['../base/bytes.ts', '../model/key-id.ts', './ciphertext.ts'])
  })

  it('keep to the levels', () => {
    expect(violations(tree)).toEqual([])
  })
})

describe('the checker', () => {
  const nothing = ''
  const check = (files: Record<string, string>) => violations(new Map(Object.entries(files)))

  it('accepts what the levels allow', () => {
    expect(
      check({
        'main.ts': `import { compose } from './compose.ts'; import { load } from './config/load.ts'`,
        'compose.ts': `import './api/server.ts'; import './store/sqlite.ts'; import './compose-pools.ts'`,
        'compose-pools.ts': `import './hsm/pool/pool.ts'`,
        'cli/main.ts': `import '../compose-pools.ts'; import './commands/init.ts'; import('../main.ts')`,
        'cli/commands/init.ts': `import type { Store } from '../../store/store.ts'`,
        'api/server.ts': `import express from 'express'; import './sigv4/signature.ts'; import '../operations/keys/index.ts'`,
        'api/sigv4/signature.ts': `import { hash } from 'node:crypto'`,
        'operations/keys/index.ts': `export { CreateKey } from './CreateKey.ts'`,
        'operations/keys/CreateKey.ts': `import type { Keyring } from '../../keyring/keyring.ts'; import '../../access/authorize.ts'`,
        'keyring/keyring.ts': `import type { Pool } from '../hsm/pool/pool.ts'`,
        'access/authorize.ts': `import type { Store } from '../store/store.ts'; import '../model/key.ts'`,
        'store/store.ts': `import '../telemetry/metrics.ts'; import '../formats/ekt.ts'`,
        'store/sqlite.ts': `import { Kysely } from 'kysely'; import { Migrator } from 'kysely/migration'; import 'node:sqlite'`,
        'hsm/pool/pool.ts': `import '../contract/commands.ts'; import { spawn } from 'node:child_process'`,
        'hsm/host/main.ts': `import pkcs11 from 'pkcs11js'; import './commands/index.ts'; import '../contract/commands.ts'`,
        'hsm/host/commands/index.ts': `import '../token.ts'; import '../../../base/bytes.ts'`,
        'hsm/host/token.ts': `import koffi from 'koffi'`,
        'hsm/contract/commands.ts': `import '../../formats/ekt.ts'; import '../../model/key.ts'`,
        'telemetry/metrics.ts': `import '../base/clock.ts'; import { Registry } from 'prom-client'`,
        'formats/ekt.ts': `import '../model/key.ts'; import { hash } from 'node:crypto'`,
        'model/key.ts': `import '../base/bytes.ts'`,
        'config/load.ts': `import '../base/bytes.ts'`,
        'base/bytes.ts': nothing,
        'base/clock.ts': nothing,
      }),
    ).toEqual([])
  })

  const upward: readonly (readonly [string, string])[] = [
    ['base', 'model'],
    ['model', 'formats'],
    ['formats', 'hsm/contract'],
    ['hsm/contract', 'hsm/pool'],
    ['store', 'keyring'],
    ['keyring', 'operations'],
    ['operations', 'api'],
    ['api', 'cli'],
  ]
  const neighbours: readonly (readonly [string, string])[] = [
    ['store', 'hsm/pool'],
    ['hsm/pool', 'store'],
    ['audit', 'store'],
    ['keyring', 'access'],
    ['access', 'keyring'],
    ['api', 'admin'],
    ['tasks', 'console'],
    ['telemetry', 'model'],
    ['telemetry', 'formats'],
    ['hsm/contract', 'telemetry'],
    ['formats', 'telemetry'],
    ['base', 'config'],
  ]
  it.each([...upward, ...neighbours])('refuses %s importing %s', (from, to) => {
    const path = posix.relative(from, `${to}/target.ts`)
    const found = [`${from}/file.ts imports ${to}/target.ts: ${from} may not import ${to}`]
    expect(check({ [`${from}/file.ts`]: `import '${path}'`, [`${to}/target.ts`]: nothing })).toEqual(found)
  })

  it.each([
    ['cli', `import '../compose.ts'`, 'cli/main.ts imports compose.ts: cli may not import compose.ts'],
    ['api', `import '../main.ts'`, 'api/main.ts imports main.ts: api may not import main.ts'],
  ])('keeps %s from the entry files', (part, source, violation) => {
    expect(check({ [`${part}/main.ts`]: source, 'main.ts': nothing, 'compose.ts': nothing })).toEqual([violation])
  })

  it('keeps compose.ts from its neighbours main.ts and cli', () => {
    const files = { 'main.ts': nothing, 'cli/main.ts': nothing }
    expect(check({ ...files, 'compose.ts': `import './main.ts'; import './cli/main.ts'` })).toHaveLength(2)
  })

  it.each(['telemetry', 'config', 'store', 'hsm/pool'])('keeps hsm/host from %s', part => {
    const path = posix.relative('hsm/host', `${part}/target.ts`)
    const found = `hsm/host/main.ts imports ${part}/target.ts: hsm/host may not import ${part}`
    expect(check({ 'hsm/host/main.ts': `import '${path}'`, [`${part}/target.ts`]: nothing })).toEqual([found])
  })

  it.each(['compose.ts', 'main.ts', 'cli/main.ts', 'hsm/pool/member.ts'])('keeps %s from hsm/host', file => {
    const path = posix.relative(posix.dirname(file), 'hsm/host/main.ts')
    const source = `import '${path.startsWith('.') ? path : `./${path}`}'`
    expect(check({ [file]: source, 'hsm/host/main.ts': nothing })).toEqual([
      `${file} imports hsm/host/main.ts: nobody imports hsm/host`,
    ])
  })

  it.each([
    ['hsm/pool/pool.ts', 'pkcs11js'],
    ['cli/main.ts', 'graphene-pk11'],
    ['compose.ts', 'koffi'],
    ['keyring/keyring.ts', 'kysely'],
    ['operations/operation.ts', 'kysely/migration'],
    ['audit/log.ts', 'node:sqlite'],
    ['console/routes.ts', 'express'],
    ['hsm/host/main.ts', 'express'],
  ])('keeps %s from %s', (file, specifier) => {
    expect(check({ [file]: `import x from '${specifier}'` })).toEqual([
      `${file} imports ${specifier}: not a package of its part`,
    ])
  })

  it.each([
    ['model/key.ts', 'node:fs'],
    ['formats/ekt.ts', 'node:net'],
  ])('keeps %s pure of %s', (file, specifier) => {
    expect(check({ [file]: `import x from '${specifier}'` })).toEqual([
      `${file} imports ${specifier}: its part is pure`,
    ])
  })

  it.each([
    ['import type', `import type { A } from '../api/server.ts'`],
    ['an inline type import', `import { type A } from '../api/server.ts'`],
    ['export from', `export { A } from '../api/server.ts'`],
    ['export type from', `export type { A } from '../api/server.ts'`],
    ['export *', `export * from '../api/server.ts'`],
    ['export * as', `export * as a from '../api/server.ts'`],
    ['import()', `export const a = async () => (await import('../api/server.ts')).A`],
    ['import() of a template', 'export const a = () => import(`../api/server.ts`)'],
    ['import() in a type', `export type A = import('../api/server.ts').A`],
    ['typeof import()', `export function f(a: typeof import('../api/server.ts')): void {}`],
    ['require()', `const a = require('../api/server.ts')`],
    ['import = require()', `import a = require('../api/server.ts')`],
  ])('sees %s', (_, source) => {
    expect(check({ 'base/bytes.ts': source, 'api/server.ts': nothing })).toEqual([
      'base/bytes.ts imports api/server.ts: base may not import api',
    ])
  })

  it('refuses an import whose target it cannot read', () => {
    expect(check({ 'base/bytes.ts': 'export const load = (name: string) => import(name)' })).toEqual([
      'base/bytes.ts has an import that is no literal',
    ])
  })

  it('refuses a file that is not there, and files outside src/', () => {
    expect(check({ 'base/bytes.ts': `import './gone.ts'; import '../../scripts/sandbox.ts'` })).toEqual([
      'base/bytes.ts imports base/gone.ts: no such file',
      'base/bytes.ts imports ../scripts/sandbox.ts: outside src/',
    ])
  })

  it('refuses a part that the levels do not name', () => {
    expect(check({ 'utils/strings.ts': nothing, 'server.ts': nothing, 'hsm/helpers/x.ts': nothing })).toEqual([
      'utils/strings.ts stands in no part: give it a level',
      'server.ts stands in no part: give it a level',
      'hsm/helpers/x.ts stands in no part: give it a level',
    ])
    expect(check({ 'base/bytes.ts': `import '../utils/strings.ts'`, 'utils/strings.ts': nothing })).toContain(
      'base/bytes.ts imports utils/strings.ts: base may not import a part without a level',
    )
  })

  it('refuses cycles, within a part too', () => {
    expect(
      check({
        'base/a.ts': `import './b.ts'`,
        'base/b.ts': `import type { C } from './c.ts'`,
        'base/c.ts': `import './a.ts'`,
        'base/d.ts': `import './a.ts'`,
      }),
    ).toEqual(['cycle: base/a.ts -> base/b.ts -> base/c.ts -> base/a.ts'])
    expect(check({ 'base/a.ts': `import './a.ts'` })).toEqual(['cycle: base/a.ts -> base/a.ts'])
  })

  it('finds every cycle behind a shared file', () => {
    expect(
      check({
        'base/a.ts': `import './b.ts'; import './c.ts'`,
        'base/b.ts': `import './a.ts'`,
        'base/c.ts': `import './b.ts'; import './a.ts'`,
      }),
    ).not.toEqual([])
  })

  it('refuses folders that are too deep, and index files that are no list', () => {
    expect(check({ 'api/sigv4/v4a/signature.ts': nothing, 'hsm/host/commands/keys/sign.ts': nothing })).toEqual([
      'api/sigv4/v4a/signature.ts lies deeper than one folder below its part',
      'hsm/host/commands/keys/sign.ts lies deeper than one folder below its part',
    ])
    expect(check({ 'model/index.ts': nothing })).toEqual(['model/index.ts: index.ts is only the list of a group'])
  })
})

/** Every rule that the tree breaks, as a sentence; empty when it keeps to all of them. */
function violations(tree: Tree): string[] {
  const found: string[] = []
  const edges = new Map<string, string[]>()
  for (const file of tree.keys()) {
    const part = partOf(file)
    if (part === undefined) found.push(`${file} stands in no part: give it a level`)
    else found.push(...misplaced(file, part))
    const targets: string[] = []
    for (const specifier of importsOf(file, tree)) {
      if (specifier === undefined) found.push(`${file} has an import that is no literal`)
      else if (!specifier.startsWith('.')) found.push(...foreign(file, part, specifier))
      else {
        const target = posix.join(posix.dirname(file), specifier)
        targets.push(target)
        found.push(...refused(file, part, target, tree))
      }
    }
    edges.set(file, targets)
  }
  return [...found, ...cycles(edges)]
}

function misplaced(file: string, part: string): string[] {
  const inside = file.slice(part.length + 1).split('/')
  if (inside.length > 2) return [`${file} lies deeper than one folder below its part`]
  if (inside.at(-1) === 'index.ts' && !LISTS.some(list => list.test(file))) {
    return [`${file}: index.ts is only the list of a group`]
  }
  return []
}

function foreign(file: string, part: string | undefined, specifier: string): string[] {
  const name = specifier.startsWith('node:') ? specifier : packageOf(specifier)
  const owners = PACKAGES[name]
  if (owners !== undefined && (part === undefined || !owners.includes(part))) {
    return [`${file} imports ${specifier}: not a package of its part`]
  }
  const builtins = part === undefined ? undefined : PURE[part]
  if (builtins !== undefined && specifier.startsWith('node:') && !builtins.includes(specifier)) {
    return [`${file} imports ${specifier}: its part is pure`]
  }
  return []
}

function refused(file: string, part: string | undefined, target: string, tree: Tree): string[] {
  if (target.startsWith('../')) return [`${file} imports ${target}: outside src/`]
  if (!tree.has(target)) return [`${file} imports ${target}: no such file`]
  const targetPart = partOf(target)
  if (part === undefined || part === targetPart) return []
  if (targetPart === undefined) return [`${file} imports ${target}: ${part} may not import a part without a level`]
  if (IMPORTED_BY_NOBODY.includes(targetPart)) return [`${file} imports ${target}: nobody imports ${targetPart}`]
  return mayImport(part, targetPart) ? [] : [`${file} imports ${target}: ${part} may not import ${targetPart}`]
}

function mayImport(part: string, target: string): boolean {
  const only = ONLY[part]
  if (only !== undefined) return only.includes(target)
  return levelOf(target) > levelOf(part) || NEIGHBOURS[part]?.includes(target) === true
}

/** The row of a part in LEVELS: the higher the number, the lower it stands. */
function levelOf(part: string): number {
  return LEVELS.findIndex(parts => parts.includes(part))
}

function partOf(file: string): string | undefined {
  return LEVELS.flat().find(part => file === part || file.startsWith(`${part}/`))
}

function packageOf(specifier: string): string {
  return specifier.split('/', specifier.startsWith('@') ? 2 : 1).join('/')
}

/** Each cycle that a walk over the files comes back on, as the path it took. */
function cycles(edges: ReadonlyMap<string, readonly string[]>): string[] {
  const found: string[] = []
  const done = new Set<string>()
  const walk = (file: string, path: readonly string[]): void => {
    const at = path.indexOf(file)
    if (at >= 0) found.push(`cycle: ${[...path.slice(at), file].join(' -> ')}`)
    if (at >= 0 || done.has(file)) return
    for (const target of edges.get(file) ?? []) walk(target, [...path, file])
    done.add(file)
  }
  for (const file of edges.keys()) walk(file, [])
  return found
}

/** The specifiers a file imports from, in the order of the text; undefined for one that is computed. */
function importsOf(file: string, tree: Tree): (string | undefined)[] {
  const found: (string | undefined)[] = []
  visit(parseSync(tree.get(file) ?? '', { syntax: 'typescript' }), found)
  return found
}

interface SyntaxNode {
  readonly type: string
  readonly source?: SyntaxNode | null
  readonly argument?: SyntaxNode
  readonly expression?: SyntaxNode
  readonly callee?: SyntaxNode
  readonly arguments?: readonly { readonly expression: SyntaxNode }[]
  readonly value?: unknown
  readonly expressions?: readonly unknown[]
  readonly quasis?: readonly { readonly cooked?: string }[]
}

function visit(value: unknown, found: (string | undefined)[]): void {
  if (typeof value !== 'object' || value === null) return
  if (Array.isArray(value)) {
    for (const member of value) visit(member, found)
    return
  }
  const node = value as SyntaxNode
  const target = targetOf(node)
  if (target !== undefined) found.push(literalOf(target))
  for (const member of Object.values(node)) visit(member, found)
}

/** The expression that says where an importing node imports from. */
function targetOf(node: SyntaxNode): SyntaxNode | undefined {
  switch (node.type) {
    case 'ImportDeclaration':
    case 'ExportNamedDeclaration':
    case 'ExportAllDeclaration':
      return node.source ?? undefined
    case 'TsImportType':
      return node.argument
    case 'TsExternalModuleReference':
      return node.expression
    case 'CallExpression': {
      const { callee } = node
      const imports = callee?.type === 'Import' || (callee?.type === 'Identifier' && callee.value === 'require')
      return imports ? node.arguments?.[0]?.expression : undefined
    }
    default:
      return undefined
  }
}

function literalOf(node: SyntaxNode): string | undefined {
  if (node.type === 'StringLiteral') return String(node.value)
  if (node.type === 'TemplateLiteral' && node.expressions?.length === 0) return node.quasis?.[0]?.cooked
  return undefined
}

function readTree(folder: string): Tree {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter(path => /\.[cm]?[jt]sx?$/.test(path) && !NOT_CODE.test(path))
    .toSorted()
  return new Map(files.map(path => [path, readFileSync(`${folder}/${path}`, 'utf8')]))
}
