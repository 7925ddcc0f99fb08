/**
 * The Query protocol's requests: a form in the body, whose names are paths (`Tags.member.1.Key=team`), read into the JSON
 * that a shape describes.
 */
import { StsError } from '../../sts/errors.ts'
import type { HeaderFields } from '../sigv4/headers.ts'

const CONTENT_TYPE = 'application/x-www-form-urlencoded'
/** Far more than any legal request has. */
const PARAMETERS_MAX = 256
const STEPS_MAX = 8
const VERSION = '2011-06-15'

/** Whether a request speaks the Query protocol. One that names a target is for KMS, whatever its body is. */
export function isQuery(headers: HeaderFields): boolean {
  return headers['x-amz-target'] === undefined && headers['content-type']?.startsWith(CONTENT_TYPE) === true
}

export interface QueryRequest {
  readonly action: string
  readonly parameters: Readonly<Record<string, unknown>>
}

type Node = Map<string, Node | string>

/** Throws StsError: MissingAction, InvalidAction, MalformedInput. */
export function parseQuery(body: Buffer): QueryRequest {
  const root: Node = new Map()
  let count = 0
  for (const [name, value] of new URLSearchParams(body.toString('utf8'))) {
    count++
    if (count > PARAMETERS_MAX) throw new StsError('MalformedInput', 'The request has too many parameters.')
    insert(root, name.split('.'), value)
  }
  const { Action: action, Version: version, ...parameters } = jsonOf(root) as Record<string, unknown>
  if (typeof action !== 'string' || action === '') throw new StsError('MissingAction', 'The request has no Action.')
  if (version !== VERSION)
    throw new StsError('InvalidAction', `Could not find operation ${echo(action)} for version ${echo(String(version))}`)
  return { action, parameters }
}

export function echo(text: string): string {
  return text.length <= 64 ? text : `${text.slice(0, 64)}...`
}

function insert(root: Node, steps: readonly string[], value: string): void {
  const last = steps.at(-1)
  if (last === undefined || steps.length > STEPS_MAX) throw malformed()
  let node = root
  for (const step of steps.slice(0, -1)) {
    const next = node.get(step) ?? new Map()
    if (typeof next === 'string') throw malformed()
    node.set(step, next)
    node = next
  }
  if (node.has(last)) throw malformed()
  node.set(last, value)
}

/** `{member: {1: …, 2: …}}` is a list, whose numbers count from 1 without a gap. */
function jsonOf(node: Node | string): unknown {
  if (typeof node === 'string') return node
  const member = node.get('member')
  if (node.size === 1 && member instanceof Map) {
    return Array.from({ length: member.size }, (_, at) => {
      const element = member.get(String(at + 1))
      if (element === undefined) throw malformed()
      return jsonOf(element)
    })
  }
  return Object.fromEntries(Array.from(node, ([name, child]) => [name, jsonOf(child)]))
}

function malformed(): StsError {
  return new StsError('MalformedInput', 'The parameters of the request contradict each other.')
}
