/**
 * Ways to change a signed request, and what a request means by the rules of SigV4. A request that means something else
 * than what was signed must be refused; one that is only written in another way may be accepted. `meaningOf` is naive on
 * purpose and shares no code with the verifier.
 */
import { posix } from 'node:path'
import fc from 'fast-check'
import type { IncomingRequest } from '../../src/api/sigv4/verify.ts'

/** One change, as data: fast-check prints it when it fails. Numbers are taken modulo what there is to choose from. */
export type Mutation =
  | {
      kind: 'bytes'
      of: 'method' | 'url' | 'body' | 'name' | 'value'
      header: number
      at: number
      cut: number
      put: string
    }
  | { kind: 'remove' | 'repeat'; header: number }
  | { kind: 'move' | 'exchange'; header: number; to: number }
  | { kind: 'add'; name: string; value: string; first: boolean }
  | { kind: 'set'; header: number; value: string }
  | { kind: 'part'; part: 'Credential' | 'SignedHeaders' | 'Signature'; value: string }
  | { kind: 'scope'; element: number; value: string }
  | { kind: 'signed'; how: 'drop' | 'repeat' | 'reverse' | 'upper'; at: number }
  | { kind: 'alsoSigned'; name: string }
  | { kind: 'scheme'; scheme: string }
  | { kind: 'date'; seconds: number }
  | { kind: 'method'; method: string }
  | { kind: 'url'; url: string }
  | { kind: 'body'; body: string }

const NAMES = [
  ...['X-Amz-Target', 'X-Amz-Security-Token', 'X-Amz-Date', 'X-Amz-Content-Sha256', 'X-Amz-Meta', 'x-amz-'],
  ...['Host', 'Content-Type', 'Date', 'Authorization', 'User-Agent', 'X-Forwarded-Host'],
]
const TARGETS = [
  '/',
  '//',
  '/.',
  '/..',
  '/x',
  '/%2F',
  '/?',
  '/?Action=ListKeys',
  '/?a=1&b=2',
  '/?=',
  '/?%',
  '/?%ff&%zz',
  '*',
]
const QUERY_FORM = [
  '/?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIA&X-Amz-Signature=0',
  '/?X-Amz-Security-Token=token',
  '/?x-amz-target=TrentService.ListKeys',
]
const VALUES = [
  ...['', ' ', '\t', ',', ';', '=', 'é', '\u00a0', '\u00ff', '\0', 'null', 'UNSIGNED-PAYLOAD', 'a'.repeat(9_000)],
  ...[
    'TrentService.ListKeys',
    'TrentService.DescribeKey',
    'TrentService.',
    'Bearer x',
    'Basic QTpC',
    '20261122T120000Z',
  ],
  ...[
    'AWS4-HMAC-SHA256 Credential=',
    'AWS4-HMAC-SHA256',
    'Sun, 22 Nov 2026 12:00:00 GMT',
    'e3b0c44298fc1c149afbf4c8996fb924',
  ],
]

const index = fc.nat(1_000)
const latin1 = fc.integer({ min: 0, max: 255 }).map(code => String.fromCharCode(code))
/** Bytes of a line: each character is one, as Node hands headers out. */
const line = fc.oneof(
  fc.constantFrom(...VALUES),
  fc.array(latin1, { maxLength: 40 }).map(characters => characters.join('')),
  fc.string({ unit: 'binary', maxLength: 20 }).map(text => Buffer.from(text).toString('latin1')),
)
const SCOPE_VALUES = [
  '',
  '20261121',
  '20261123',
  '2026112',
  'on-prem-1',
  'on-prem-2',
  'us-east-1',
  'kms',
  'sts',
  's3',
  'AKIAIOSFODNN7OTHER00',
  'aws4',
  '../..',
]

export const mutations: fc.Arbitrary<Mutation[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        kind: fc.constant('bytes' as const),
        of: fc.constantFrom('method', 'url', 'body', 'name', 'value', 'value', 'value'),
        ...{ header: index, at: index, cut: fc.nat(3) },
        put: fc.array(latin1, { maxLength: 3 }).map(characters => characters.join('')),
      }),
    },
    fc.record({ kind: fc.constantFrom('remove', 'repeat'), header: index }),
    fc.record({ kind: fc.constantFrom('move', 'exchange'), header: index, to: index }),
    fc.record({ kind: fc.constant('add' as const), name: fc.constantFrom(...NAMES), value: line, first: fc.boolean() }),
    fc.record({ kind: fc.constant('set' as const), header: index, value: line }),
    fc.record({
      kind: fc.constant('part' as const),
      part: fc.constantFrom('Credential', 'SignedHeaders', 'Signature'),
      value: fc.oneof(line, fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: 64, maxLength: 64 })),
    }),
    fc.record({ kind: fc.constant('scope' as const), element: index, value: fc.constantFrom(...SCOPE_VALUES) }),
    fc.record({
      kind: fc.constant('signed' as const),
      how: fc.constantFrom('drop', 'repeat', 'reverse', 'upper'),
      at: index,
    }),
    fc.record({
      kind: fc.constant('alsoSigned' as const),
      name: fc.constantFrom(...NAMES.map(name => name.toLowerCase())),
    }),
    fc.record({
      kind: fc.constant('scheme' as const),
      scheme: fc.oneof(line, fc.constantFrom('aws4-hmac-sha256', 'AWS4-HMAC-SHA512')),
    }),
    fc.record({ kind: fc.constant('date' as const), seconds: fc.integer({ min: -100_000, max: 100_000 }) }),
    fc.record({
      kind: fc.constant('method' as const),
      method: fc.constantFrom('GET', 'PUT', 'HEAD', 'DELETE', 'OPTIONS', 'post'),
    }),
    fc.record({ kind: fc.constant('url' as const), url: fc.constantFrom(...TARGETS, ...QUERY_FORM) }),
    fc.record({
      kind: fc.constant('body' as const),
      body: fc.oneof(fc.json(), fc.constantFrom('', ' ', '{}', '\0'), line),
    }),
  ),
  { minLength: 1, maxLength: 3 },
) as fc.Arbitrary<Mutation[]>

type Field = [name: string, value: string]

function fieldsOf({ rawHeaders }: IncomingRequest): Field[] {
  return Array.from({ length: rawHeaders.length / 2 }, (_, at) => [rawHeaders[2 * at]!, rawHeaders[2 * at + 1]!])
}

export function mutate(request: IncomingRequest, changes: readonly Mutation[]): IncomingRequest {
  return changes.reduce(mutateOnce, request)
}

function mutateOnce(request: IncomingRequest, change: Mutation): IncomingRequest {
  const fields = fieldsOf(request)
  const pick = (number: number) => number % Math.max(fields.length, 1)
  const having = (changed: readonly Field[]) => ({ ...request, rawHeaders: changed.flat() })
  const authorization = (edit: (value: string) => string) =>
    having(fields.map(([name, value]) => [name, name.toLowerCase() === 'authorization' ? edit(value) : value]))
  switch (change.kind) {
    case 'bytes': {
      const { of, at, cut, put } = change
      if (of === 'method' || of === 'url') return { ...request, [of]: splice(request[of], at, cut, put) }
      if (of === 'body') {
        const body = splice(Buffer.from(request.body).toString('latin1'), at, cut, put)
        return { ...request, body: Buffer.from(body, 'latin1') }
      }
      return having(
        fields.map(([name, value], position) => {
          if (position !== pick(change.header)) return [name, value]
          return of === 'name' ? [splice(name, at, cut, put), value] : [name, splice(value, at, cut, put)]
        }),
      )
    }
    case 'remove':
      return having(fields.filter((_, position) => position !== pick(change.header)))
    case 'repeat':
      return having(fields.flatMap((field, position) => (position === pick(change.header) ? [field, field] : [field])))
    case 'move': {
      const [taken] = fields.splice(pick(change.header), 1)
      if (taken !== undefined) fields.splice(pick(change.to), 0, taken)
      return having(fields)
    }
    case 'exchange': {
      const [one, other] = [fields[pick(change.header)], fields[pick(change.to)]]
      return having(
        fields.map(field => (field === one ? [field[0], other![1]] : field === other ? [field[0], one![1]] : field)),
      )
    }
    case 'add': {
      const field: Field = [change.name, change.value]
      return having(change.first ? [field, ...fields] : [...fields, field])
    }
    case 'set':
      return having(fields.map(([name, value], at) => [name, at === pick(change.header) ? change.value : value]))
    case 'part':
      return authorization(value =>
        value.replace(new RegExp(`${change.part}=[^,]*`), () => `${change.part}=${change.value}`),
      )
    case 'scope':
      return authorization(value =>
        value.replace(/Credential=([^,]*)/, (_, credential: string) => {
          const elements = credential.split('/')
          return `Credential=${elements.map((each, at) => (at === change.element % elements.length ? change.value : each)).join('/')}`
        }),
      )
    case 'signed':
      return authorization(value =>
        value.replace(
          /SignedHeaders=([^,]*)/,
          (_, names: string) => `SignedHeaders=${relist(names.split(';'), change)}`,
        ),
      )
    case 'alsoSigned':
      return authorization(value =>
        value.replace(/SignedHeaders=([^,]*)/, (_, names: string) => {
          return `SignedHeaders=${[...new Set([...names.split(';'), change.name])].sort().join(';')}`
        }),
      )
    case 'scheme':
      return authorization(value => `${change.scheme}${value.slice(Math.max(value.indexOf(' '), 0))}`)
    case 'date':
      return having(
        fields.map(([name, value]) =>
          name.toLowerCase() === 'x-amz-date' ? [name, later(value, change.seconds)] : [name, value],
        ),
      )
    case 'method':
      return { ...request, method: change.method }
    case 'url':
      return { ...request, url: change.url }
    case 'body':
      return { ...request, body: Buffer.from(change.body) }
  }
}

function splice(text: string, at: number, cut: number, put: string): string {
  const start = at % (text.length + 1)
  return text.slice(0, start) + put + text.slice(start + cut)
}

function relist(names: readonly string[], { how, at }: Extract<Mutation, { kind: 'signed' }>): string {
  const chosen = at % names.length
  if (how === 'reverse') return names.toReversed().join(';')
  if (how === 'drop') return names.filter((_, position) => position !== chosen).join(';')
  const again = (name: string) => (how === 'repeat' ? [name, name] : [name.toUpperCase()])
  return names.flatMap((name, position) => (position === chosen ? again(name) : [name])).join(';')
}

function later(timestamp: string, seconds: number): string {
  const [, year, month, day, hour, minute, second] =
    /^(....)(..)(..)T(..)(..)(..)Z$/s.exec(timestamp)?.map(Number) ?? []
  const ms = Date.UTC(year!, month! - 1, day, hour, minute, second) + seconds * 1_000
  return Number.isFinite(ms) ? new Date(ms).toISOString().replaceAll(/[-:]|\.\d+/g, '') : timestamp
}

/** What a request says, in one form for all ways of saying it. */
export function meaningOf(request: IncomingRequest): string {
  const folded = new Map<string, string[]>()
  for (const [name, value] of fieldsOf(request)) {
    const values = folded.get(name.toLowerCase()) ?? []
    folded.set(name.toLowerCase(), [...values, value.replaceAll(/[ \t\r\n]+/g, ' ').replaceAll(/^ | $/g, '')])
  }
  const authorization = folded.get('authorization') ?? []
  const [scheme, parts] = partsOf(authorization.join(','))
  const signed = parts.flatMap(([name, value]) => (name === 'SignedHeaders' ? value!.split(';') : []))
  const meant = [...folded]
    .filter(([name]) => signed.includes(name) || name.startsWith('x-amz-'))
    .map(([name, values]) => `${name}:${values.join(',')}`)
  const [path, ...query] = request.url.split('?')
  const pairs = query
    .join('?')
    .split('&')
    .filter(pair => pair !== '')
  const target = [posix.normalize(`/${path}`), ...pairs.sort()]
  return JSON.stringify([
    request.method,
    target,
    meant.sort(),
    scheme,
    parts,
    Buffer.from(request.body).toString('base64'),
  ])
}

function partsOf(authorization: string): [scheme: string, parts: string[][]] {
  const [scheme = '', ...rest] = authorization.split(' ')
  const parts = rest
    .join(' ')
    .split(',')
    .map(part => /^ *([^=]*)=(.*?) *$/s.exec(part)?.slice(1) ?? ['', part])
  const read = parts.filter(([name]) => ['Credential', 'SignedHeaders', 'Signature'].includes(name!))
  return [scheme, read.sort(([a], [b]) => (a! < b! ? -1 : 1))]
}
