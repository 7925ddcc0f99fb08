/** The files of config/: all of them load, and reference.yaml is the schema in another form. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { configurationFields, documentedFields } from '../../../scripts/generate-docs.ts'
import { parsePkcs11Uri } from '../../../src/base/pkcs11-uri.ts'
import { checkConfiguration, loadConfiguration } from '../../../src/config/load.ts'
import { configuration } from '../../../src/config/schema.ts'

const FOLDER = fileURLToPath(new URL('../../../config/', import.meta.url))
const files = readdirSync(FOLDER).filter(name => name.endsWith('.yaml'))

describe('config/', () => {
  it('holds a reference, a sample for production, and one for each vendor of the table of quirks', () => {
    const vendors = ['cloudhsm', 'luna', 'nshield', 'nss', 'opencryptoki', 'softhsm', 'utimaco', 'yubihsm2']
    expect(files.toSorted()).toEqual(['production', 'reference', ...vendors].map(name => `${name}.yaml`).toSorted())
  })

  it.each(files)('%s loads', file => {
    const { stateDir, regions } = loadConfiguration(FOLDER + file)
    expect(stateDir).toBe('/var/lib/strongroom')
    for (const { tokens } of regions) {
      const pinFiles = tokens.map(({ uri }) => parsePkcs11Uri(uri).pinFile)
      expect(new Set(pinFiles).size).toBe(tokens.length)
    }
  })

  it.each([
    ['softhsm.yaml', 2],
    ['luna.yaml', 2],
    ['nss.yaml', 1],
    ['production.yaml', 3],
  ])('%s has %d tokens in one region', (file, count) => {
    const { regions } = loadConfiguration(FOLDER + file)
    expect(regions.map(({ tokens }) => tokens.length)).toEqual([count])
  })
})

describe('config/reference.yaml', () => {
  const text = readFileSync(`${FOLDER}reference.yaml`, 'utf8')
  const document = parse(text) as Record<string, unknown>
  const documented = documentedFields(text)
  const fields = configurationFields()

  it('is held against a schema that was read whole', () => {
    expect(fields.map(({ path }) => path)).toEqual(pathsOf(configuration))
    expect(fields.length).toBeGreaterThan(20)
  })

  it('names every field of the schema, in its order, and no other', () => {
    expect(documented.map(({ path }) => path)).toEqual(fields.map(({ path }) => path))
    expect(pathsIn(document)).toEqual(fields.map(({ path }) => path))
  })

  it('says what each field means', () => {
    expect(documented.filter(({ meaning }) => meaning.join('').trim() === '')).toEqual([])
  })

  it.each(fields)('has the type, bounds and default of $path', ({ path, facts }) => {
    expect(documented.find(field => field.path === path)?.facts).toBe(facts)
  })

  it.each(fields.filter(field => !field.section && field.default !== undefined))(
    'gives $path its default',
    ({ path, default: expected }) => {
      expect(valueAt(document, path)).toEqual(expected)
    },
  )

  it('gives what its required fields alone give', () => {
    const { stateDir, regions } = loadConfiguration(`${FOLDER}reference.yaml`)
    // What a token has in the place of a setting for all has no default of its own.
    const required = regions.map(({ name, tokens }) => ({
      name,
      tokens: tokens.map(({ uri, hosts, threads }) => ({ uri, hosts, threads })),
    }))
    expect(loadConfiguration(`${FOLDER}reference.yaml`)).toEqual(
      checkConfiguration({ stateDir, regions: required }, '/reference.yaml'),
    )
  })
})

interface ZodNode {
  readonly def: {
    readonly type: string
    readonly innerType?: ZodNode
    readonly element?: ZodNode
    readonly shape?: Readonly<Record<string, ZodNode>>
  }
}

/** Every field of a zod schema by its path, on a walk of its own. */
function pathsOf(schema: unknown, path = ''): string[] {
  const { def } = schema as ZodNode
  if (def.innerType !== undefined) return pathsOf(def.innerType, path)
  if (def.element !== undefined) return pathsOf(def.element, `${path}[]`)
  return Object.entries(def.shape ?? {}).flatMap(([name, member]) => {
    const at = path === '' ? name : `${path}.${name}`
    return [at, ...pathsOf(member, at)]
  })
}

/** The same of a document; the first element stands for a list, and what is empty has no fields. */
function pathsIn(value: unknown, path = ''): string[] {
  if (Array.isArray(value)) return pathsIn(value[0], `${path}[]`)
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([name, member]) => {
    const at = path === '' ? name : `${path}.${name}`
    return [at, ...pathsIn(member, at)]
  })
}

function valueAt(document: unknown, path: string): unknown {
  const steps = path.replaceAll('[]', '.0').split('.')
  return steps.reduce<unknown>((value, step) => (value as Record<string, unknown>)[step], document)
}
