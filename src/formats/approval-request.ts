/**
 * The text that officers read and sign before a ceremony runs (docs/dual-control.md), version 1. One act has one text:
 * what is compared, when the ceremony is to run, are these bytes.
 *
 * ```
 * strongroom approval request, version 1
 * request: 32 hex digits, random
 * command: domain rotate
 * argument NAME: VALUE          for each argument, by name
 * state NAME: VALUE             for each fact that the act starts from, by name
 * created: 2026-11-22T03:00:00.000Z
 * expires: 2026-11-25T03:00:00.000Z
 * ```
 *
 * Every line ends with a line feed. Values are one line without control or formatting characters, which could show an
 * officer something else than what is signed.
 */

/** What a ceremony is about to do: the command, what it was told, and the state that it starts from. */
export interface CeremonyAct {
  /** Such as `domain rotate`. */
  readonly command: string
  readonly args: Readonly<Record<string, string>>
  /** What makes this act another one than the same command on another day: versions, generations, members. */
  readonly state: Readonly<Record<string, string>>
}

export interface ApprovalText extends CeremonyAct {
  /** 32 hex digits from a random generator. */
  readonly id: string
  readonly createdAtMs: number
  readonly expiresAtMs: number
}

/** A text that is not of this format, or an act that it cannot hold. */
export class MalformedApprovalRequest extends Error {
  override readonly name = 'MalformedApprovalRequest'
}

const TITLE = 'strongroom approval request, version 1'
const TEXT_MAX = 65_536
const ID = /^[0-9a-f]{32}$/
const COMMAND = /^[a-z][a-z -]{0,63}$/
const NAME = /^[A-Za-z0-9][A-Za-z0-9 ._-]{0,127}$/
/** Not empty, and nothing that moves, hides or breaks what is seen (Unicode: Other, line and paragraph separators). */
const VALUE = /^[^\p{C}\p{Zl}\p{Zp}]{1,1024}$/u
const LINE = /^(request|command|argument|state|created|expires)(?: ([^:]+))?: (.*)$/

/** Throws {@link MalformedApprovalRequest} when a name or value has no place in a line. */
export function renderApprovalText({ id, command, args, state, createdAtMs, expiresAtMs }: ApprovalText): string {
  if (!ID.test(id)) throw new MalformedApprovalRequest('the id is not 32 hex digits')
  if (!COMMAND.test(command)) throw new MalformedApprovalRequest(`"${command}" is not the name of a command`)
  const lines = [
    TITLE,
    `request: ${id}`,
    `command: ${command}`,
    ...linesOf('argument', args),
    ...linesOf('state', state),
    `created: ${new Date(createdAtMs).toISOString()}`,
    `expires: ${new Date(expiresAtMs).toISOString()}`,
  ]
  const text = `${lines.join('\n')}\n`
  if (text.length > TEXT_MAX) throw new MalformedApprovalRequest('the request is too long')
  return text
}

/** Throws {@link MalformedApprovalRequest} for any text but one that {@link renderApprovalText} makes. */
export function parseApprovalText(text: string): ApprovalText {
  if (text.length > TEXT_MAX) throw new MalformedApprovalRequest('the request is too long')
  const single = new Map<string, string>()
  const named = { argument: new Map<string, string>(), state: new Map<string, string>() }
  for (const line of text.split('\n').slice(1, -1)) {
    const [, field, name, value = ''] = LINE.exec(line) ?? []
    if (field === 'argument' || field === 'state') named[field].set(name ?? '', value)
    else single.set(field ?? '', value)
  }
  const read: ApprovalText = {
    id: single.get('request') ?? '',
    command: single.get('command') ?? '',
    args: Object.fromEntries(named.argument),
    state: Object.fromEntries(named.state),
    createdAtMs: Date.parse(single.get('created') ?? ''),
    expiresAtMs: Date.parse(single.get('expires') ?? ''),
  }
  // Whatever the reading above lets pass, the text must be the one that its content has.
  const dated = Number.isFinite(read.createdAtMs) && Number.isFinite(read.expiresAtMs)
  if (!dated || renderApprovalText(read) !== text) throw new MalformedApprovalRequest('not an approval request')
  return read
}

/** Whether two acts are of the same command with the same arguments. */
export function isSameCommand(a: CeremonyAct, b: CeremonyAct): boolean {
  return a.command === b.command && isSameRecord(a.args, b.args)
}

/** Whether two acts are the same, down to the state that they start from. */
export function isSameAct(a: CeremonyAct, b: CeremonyAct): boolean {
  return isSameCommand(a, b) && isSameRecord(a.state, b.state)
}

function isSameRecord(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const names = Object.keys(a)
  return names.length === Object.keys(b).length && names.every(name => Object.hasOwn(b, name) && a[name] === b[name])
}

function linesOf(field: 'argument' | 'state', values: Readonly<Record<string, string>>): string[] {
  return Object.entries(values)
    .toSorted(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
    .map(([name, value]) => {
      if (!NAME.test(name)) throw new MalformedApprovalRequest(`"${name}" is not the name of an ${field}`)
      if (!VALUE.test(value))
        throw new MalformedApprovalRequest(`the ${field} ${name} is empty, too long or not one line of plain text`)
      return `${field} ${name}: ${value}`
    })
}
