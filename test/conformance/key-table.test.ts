/**
 * The table of answers (key-table.ts), asked through the SDK for JavaScript and, as far as it knows the operation and its
 * members, through Debian's boto3. Each key is made once and goes through its states.
 */
import { KMSServiceException } from '@aws-sdk/client-kms'
import { afterAll, describe, expect, test } from '@jest/globals'
import { isImportable } from '../../src/model/imports.ts'
import { KEY_STATES } from '../../src/model/key.ts'
import { algorithmsOf, KEY_SPECS, KEY_USAGES, type KeySpec } from '../../src/model/key-specs.ts'
import { OPERATION_NAMES } from '../../src/model/operations.ts'
import { Boto3 } from '../support/boto3.ts'
import {
  ANSWERS,
  CELLS,
  COLUMNS,
  ON_NO_KEY,
  SPECS_THAT_ARE_NOT_OFFERED,
  STATES_THAT_ARE_NOT_REACHED,
} from './key-table.ts'
import { Subject } from './key-table-subject.ts'
import { kms, sandbox } from './kms.ts'

const [head, ...lines] = CELLS.split('\n').filter(line => line !== '')
const columnNames = head!.trim().split(/ +/)
/** By row, the cells by column. */
const rows = new Map(
  lines.map(line => {
    const cells = line.trim().split(/ +/)
    const name = cells.splice(0, cells.length - columnNames.length).join(' ')
    return [name, new Map(cells.map((cell, index) => [columnNames[index]!, cell]))]
  }),
)
const operationOf = (row: string) => row.split(' ')[0]!

describe('nothing is missing', () => {
  test('operations', () => {
    const named = [...rows.keys()].map(operationOf)
    const all = [...new Set(named), ...ON_NO_KEY.offered, ...ON_NO_KEY.notOffered]
    expect(all.sort()).toEqual([...OPERATION_NAMES].sort())
  })

  test('kinds of keys', () => {
    const offered = KEY_SPECS.filter(spec => !SPECS_THAT_ARE_NOT_OFFERED.includes(spec)).flatMap(spec =>
      KEY_USAGES.filter(usage => algorithmsOf(spec, usage).length > 0).flatMap(usage => [
        `${spec} ${usage} AWS_KMS`,
        ...(isImportable(spec) ? [`${spec} ${usage} EXTERNAL`] : []),
      ]),
    )
    const listed = Object.values(COLUMNS)
      .filter(({ multiRegion }) => multiRegion !== true)
      .flatMap(({ specs, usage, origin }) => specs.map(spec => `${spec} ${usage} ${origin}`))
    expect(listed.sort()).toEqual(offered.sort())
    expect(columnNames).toEqual(Object.keys(COLUMNS))
  })

  test('states', () => {
    const reached = new Set(Object.values(COLUMNS).flatMap(({ states }) => states))
    expect([...reached].sort()).toEqual([...KEY_STATES].sort())
    for (const state of Object.keys(STATES_THAT_ARE_NOT_REACHED)) expect(reached).not.toContain(state)
  })

  test.each([...rows])('%s', (_, cells) => {
    for (const [column, cell] of cells) {
      expect({ column, letters: cell.length }).toEqual({ column, letters: COLUMNS[column]!.states.length })
      for (const letter of cell) expect(ANSWERS).toHaveProperty([letter])
    }
  })
})

/** What a client was told: `answered`, or `Code: message`. */
type Ask = (operation: string, input: object) => Promise<string>

const boto3 = await Boto3.start(sandbox)
afterAll(() => boto3[Symbol.asyncDispose]())

const clients: Readonly<Record<string, { knows(operation: string, input: object): boolean; ask: Ask }>> = {
  'client-kms': {
    knows: () => true,
    async ask(operation, input) {
      const method = `${operation[0]!.toLowerCase()}${operation.slice(1)}` as 'encrypt'
      try {
        await kms[method](input as never)
        return 'answered'
      } catch (error) {
        if (!(error instanceof KMSServiceException)) throw error
        return `${error.name}: ${error.message}`
      }
    },
  },
  boto3: {
    knows: (operation, input) => boto3.knows(operation, input),
    async ask(operation, input) {
      const { code, message } = await boto3.call(operation, input)
      return code === undefined ? 'answered' : `${code}: ${message}`
    },
  },
}

const CUSTOM_KEY_STORE: Readonly<Record<(typeof ON_NO_KEY.notOffered)[number], object>> = {
  ConnectCustomKeyStore: { CustomKeyStoreId: 'cks-0123456789abcdef0' },
  CreateCustomKeyStore: { CustomKeyStoreName: 'store' },
  DeleteCustomKeyStore: { CustomKeyStoreId: 'cks-0123456789abcdef0' },
  DescribeCustomKeyStores: {},
  DisconnectCustomKeyStore: { CustomKeyStoreId: 'cks-0123456789abcdef0' },
  UpdateCustomKeyStore: { CustomKeyStoreId: 'cks-0123456789abcdef0' },
}

const kinds = Object.entries(COLUMNS).flatMap(([name, column]) =>
  column.specs.map(
    spec => [spec, column.usage, column.multiRegion === true ? 'two regions' : column.origin, name] as const,
  ),
)

/** A walk is some 400 calls; how long those take is the machine's affair. */
const WALK_MS = 900_000
/** A token makes an RSA key for each answer: the SDK asks for all specs, boto3 for one of each column. */
const DEAR = 'GetParametersForImport'

describe('every operation, in every state', () => {
  const walk = async (spec: KeySpec, _usage: string, _origin: string, name: string) => {
    const column = COLUMNS[name]!
    const subject = await Subject.make(spec, column, column.states.length * Object.keys(clients).length)
    const expected: Record<string, string> = {}
    const seen: Record<string, string> = {}
    for (const [index, state] of column.states.entries()) {
      await subject.enter(state)
      for (const [row, cells] of rows) {
        const operation = operationOf(row)
        const words = ANSWERS[cells.get(name)![index]!]!({ arn: subject.key.arn, ...column }, operation)
        for (const [client, { knows, ask }] of Object.entries(clients)) {
          const input = await subject.inputFor(row)
          if (!knows(operation, input)) continue
          if (row === DEAR && client === 'boto3' && spec !== column.specs[0]) continue
          const told = await ask(operation, input)
          await subject.settle(row, input, state, told === 'answered')
          const cell = `${state}, ${row}, ${client}`
          expected[cell] = words
          seen[cell] = words.includes(' ') ? told : told.split(':')[0]!
        }
      }
    }
    expect(seen).toEqual(expected)
  }
  test.each(kinds)('%s for %s of %s', walk, WALK_MS)
})

describe('what is not offered is refused', () => {
  const { ask } = clients['client-kms']!

  test.each(ON_NO_KEY.notOffered)('%s', async operation => {
    expect(await ask(operation, CUSTOM_KEY_STORE[operation])).toMatch(/^UnsupportedOperationException: /)
  })

  test.each(
    SPECS_THAT_ARE_NOT_OFFERED.flatMap(spec =>
      KEY_USAGES.filter(usage => algorithmsOf(spec, usage).length > 0).map(usage => [spec, usage] as const),
    ),
  )('CreateKey of %s for %s', async (KeySpec, KeyUsage) => {
    expect(await ask('CreateKey', { KeySpec, KeyUsage })).toMatch(/^UnsupportedOperationException: /)
  })
})
