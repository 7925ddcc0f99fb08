/** The text that officers sign: one text for one act, and nothing in it that an officer would not see. */
import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import {
  type ApprovalText,
  isSameAct,
  isSameCommand,
  MalformedApprovalRequest,
  parseApprovalText,
  renderApprovalText,
} from '../../../src/formats/approval-request.ts'

const REQUEST: ApprovalText = {
  id: '00112233445566778899aabbccddeeff',
  command: 'domain destroy-version',
  args: { version: '1', region: 'on-prem-1' },
  state: { 'dk.2': '0123456789abcdef', domain: 'ffeeddccbbaa99887766554433221100', 'token one': 'first: ünïcödé "1"' },
  createdAtMs: Date.UTC(2026, 10, 22, 3),
  expiresAtMs: Date.UTC(2026, 10, 25, 3),
}
const TEXT = `strongroom approval request, version 1
request: 00112233445566778899aabbccddeeff
command: domain destroy-version
argument region: on-prem-1
argument version: 1
state dk.2: 0123456789abcdef
state domain: ffeeddccbbaa99887766554433221100
state token one: first: ünïcödé "1"
created: 2026-11-22T03:00:00.000Z
expires: 2026-11-25T03:00:00.000Z
`

describe('the text of an approval request', () => {
  it('is written and read', () => {
    expect(renderApprovalText(REQUEST)).toBe(TEXT)
    expect(parseApprovalText(TEXT)).toEqual(REQUEST)
  })

  it('comes back, whatever the values', () => {
    const value = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 40 })
      .filter(text => !/[\p{C}\p{Z}]/u.test(text))
    const values = fc.dictionary(fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9 ._-]{0,20}$/), value, { maxKeys: 8 })
    fc.assert(
      fc.property(values, values, (args, state) => {
        const request = { ...REQUEST, args: { ...args }, state: { ...state } }
        expect(parseApprovalText(renderApprovalText(request))).toEqual(request)
      }),
    )
  })

  it.each([
    ['no line feed at the end', TEXT.slice(0, -1)],
    ['text after it', `${TEXT}more\n`],
    ['another version', TEXT.replace('version 1', 'version 2')],
    ['other line ends', TEXT.replaceAll('\n', '\r\n')],
    ['lines in another order', TEXT.replace(/(argument region.*\n)(argument version.*\n)/, '$2$1')],
    ['a line twice', TEXT.replace(/argument version.*\n/, '$&$&')],
    ['a line of another kind', TEXT.replace('state domain', 'facts domain')],
    ['another form of a date', TEXT.replace('2026-11-22T03:00:00.000Z', '2026-11-22T03:00:00Z')],
    ['no date', TEXT.replace('2026-11-25T03:00:00.000Z', 'never')],
    ['no command', TEXT.replace(/command.*\n/, '')],
    ['an empty value', TEXT.replace('version: 1', 'version: ')],
    ['another id', TEXT.replace('request: 0', 'request: G')],
    ['nothing', ''],
    ['too much', TEXT + 'x'.repeat(70_000)],
  ])('is refused with %s', (_, text) => {
    expect(() => parseApprovalText(text)).toThrow(MalformedApprovalRequest)
  })

  it.each([
    ['a line feed', 'a\nstate domain: other'],
    ['a carriage return', 'a\rb'],
    ['an escape sequence of a terminal', 'a\x1b[2K'],
    ['a change of direction', 'a\u202eb'],
    ['an invisible character', 'a\u200bb'],
    ['a line separator', 'a\u2028b'],
    ['half a character', 'a\ud800'],
    ['nothing', ''],
    ['too much', 'a'.repeat(1_025)],
  ])('holds no value with %s', (_, value) => {
    const message = 'the argument label is empty, too long or not one line of plain text'
    expect(() => renderApprovalText({ ...REQUEST, args: { label: value } })).toThrow(message)
  })

  it.each(['', '__proto__', 'a: b', 'a\nb'])('holds no name like %j', name => {
    expect(() => renderApprovalText({ ...REQUEST, state: { [name]: 'x' } })).toThrow(MalformedApprovalRequest)
  })
})

describe('two acts', () => {
  const { command, args, state } = REQUEST
  const act = { command, args, state }

  it('are the same when command, arguments and state are', () => {
    expect(isSameAct(act, { command, args: { region: 'on-prem-1', version: '1' }, state: { ...state } })).toBe(true)
    expect(isSameAct(act, { ...act, state: { ...state, domain: 'another' } })).toBe(false)
    expect(isSameAct(act, { ...act, state: { domain: state.domain! } })).toBe(false)
    expect(isSameAct(act, { ...act, args: { ...args, more: '1' } })).toBe(false)
  })

  it('are of the same command when command and arguments are', () => {
    expect(isSameCommand(act, { ...act, state: {} })).toBe(true)
    expect(isSameCommand(act, { ...act, command: 'domain rotate' })).toBe(false)
    expect(isSameCommand(act, { ...act, args: { region: 'on-prem-1', version: '2' } })).toBe(false)
    expect(isSameCommand({ ...act, args: { toString: 'x' } }, { ...act, args: { other: 'x' } })).toBe(false)
  })
})
