/** Tests of the rules that many operations share. Each function adds a block of tests for the operation it is given. */
import { describe, expect, test } from '@jest/globals'
import {
  accountId,
  aliasArn,
  bytes,
  callerArn,
  DRY_RUN,
  disabled,
  encrypt,
  invalid,
  type Key,
  type Kind,
  kms,
  makeAlias,
  makeKey,
  newAliasName,
  OTHER_ACCOUNT,
  OTHER_REGION,
  pendingDeletion,
  putInState,
  refusal,
  region,
  type State,
} from './kms.ts'

/** A call that names a key by `keyId`; `ciphertext` is one of the key that is meant. */
type CallByKeyId = (keyId: string | undefined, ciphertext: Uint8Array) => Promise<unknown>

const ABSENT_ID = '01234567-89ab-cdef-0123-456789abcdef'
const arn = (where: string, account: string, resource: string) => `arn:aws:kms:${where}:${account}:${resource}`

export const NOT_TO_ALIASES = 'ValidationException: Aliases must refer to keys. Not aliases'

/** How an operation takes the identifier of a key: kms-api.md section 3. It answers the ARN, or `echoes` what it was given. */
export function takesKeyId(
  call: CallByKeyId,
  {
    action,
    member = 'keyId',
    aliases = false,
    required = true,
    echoes = false,
    kind = {},
  }: {
    action: string
    member?: string
    /** Whether it takes them, or what it says of them. */
    aliases?: boolean | string
    required?: boolean
    echoes?: boolean
    kind?: Kind
  },
): void {
  describe(`as ${member}`, () => {
    const forms: [form: string, of: (key: Key, alias: string) => string, isAlias: boolean][] = [
      ['a key id', key => key.id, false],
      ['a key ARN', key => key.arn, false],
      ['an alias name', (_, alias) => alias, true],
      ['an alias ARN', (_, alias) => aliasArn(alias), true],
    ]
    test.each(forms.filter(([, , isAlias]) => aliases === true || !isAlias))('%s is accepted', async (_, of) => {
      const key = await makeKey(kms, kind)
      const name = of(key, await makeAlias(key))
      const output = (await call(name, await ciphertextOf(key, kind))) as Record<string, unknown>
      const named = output[member.charAt(0).toUpperCase() + member.slice(1)]
      if (named !== undefined) expect(named).toBe(echoes ? name : key.arn)
    })

    const absentAlias = newAliasName()
    const longName = 'a'.repeat(2_049)
    const refused: [what: string, keyId: string | undefined, refusal: string][] = [
      [
        'a key that does not exist',
        ABSENT_ID,
        notFound(`Key '${arn(region, accountId, `key/${ABSENT_ID}`)}' does not exist`),
      ],
      [
        'the ARN of a key that does not exist',
        arn(region, accountId, `key/${ABSENT_ID}`),
        notFound(`Key '${arn(region, accountId, `key/${ABSENT_ID}`)}' does not exist`),
      ],
      ['what is no id', 'no-key', notFound("Invalid keyId 'no-key'")],
      ['an ARN of no id', arn(region, accountId, 'key/no-key'), notFound('Invalid keyId no-key')],
      ['an id in capitals', ABSENT_ID.toUpperCase(), notFound(`Invalid keyId '${ABSENT_ID.toUpperCase()}'`)],
      [
        "another region's ARN",
        arn(OTHER_REGION, accountId, `key/${ABSENT_ID}`),
        notFound(`Invalid arn ${OTHER_REGION}`),
      ],
      [
        "another account's ARN",
        arn(region, OTHER_ACCOUNT, `key/${ABSENT_ID}`),
        `AccessDeniedException: User: ${callerArn} is not authorized to perform: kms:${action} on this resource because the resource does not exist in this Region, no resource-based policies allow access, or a resource-based policy explicitly denies access`,
      ],
      [
        'an ARN of another service',
        `arn:aws:s3:::${ABSENT_ID}`,
        `InvalidArnException: Invalid arn arn:aws:s3:::${ABSENT_ID}`,
      ],
      ['a cut ARN', 'arn:aws:kms', 'InvalidArnException: Invalid arn arn:aws:kms'],
      ['nothing at all', '', invalid(member, '', 'have length greater than or equal to 1')],
      ['2,049 characters', longName, invalid(member, longName, 'have length less than or equal to 2048')],
    ]
    if (required) refused.push(['an absent member', undefined, invalid(member, null, 'not be null')])
    if (typeof aliases === 'string') {
      refused.push(['an alias name', absentAlias, aliases], ['an alias ARN', aliasArn(absentAlias), aliases])
    } else if (aliases) {
      const missing = notFound(`Alias ${aliasArn(absentAlias)} is not found.`)
      refused.push(
        ['an alias that does not exist', absentAlias, missing],
        ['the ARN of an alias that does not exist', aliasArn(absentAlias), missing],
      )
    } else {
      refused.push(
        ['an alias name', absentAlias, notFound(`Invalid keyId '${absentAlias}'`)],
        [
          'an alias ARN',
          aliasArn(absentAlias),
          'InvalidArnException: Key Aliases are not supported for this operation.',
        ],
      )
    }
    test.each(refused)('%s is refused', async (_, keyId, expected) => {
      const ciphertext = await encrypt(await standingKey())
      expect(await refusal(call(keyId, ciphertext))).toBe(expected)
    })
  })
}

const notFound = (message: string) => `NotFoundException: ${message}`

const standing = new Map<string, Promise<Key>>()

/** A key for tests that leave it as it is. */
export function standingKey(kind: Kind = {}): Promise<Key> {
  const name = `${kind.KeySpec} ${kind.KeyUsage} ${kind.Origin} ${kind.MultiRegion}`
  const key = standing.get(name) ?? makeKey(kms, kind)
  standing.set(name, key)
  return key
}

/** No bytes where the key, as it was just made, encrypts nothing. */
async function ciphertextOf(key: Key, { KeySpec, Origin }: Kind): Promise<Uint8Array> {
  return KeySpec === undefined && Origin === undefined ? encrypt(key) : bytes(0)
}

/** Key states, by kms-api.md section 5: `ok`, or how a key in that state is refused. */
export function obeysKeyState(
  call: (key: Key, ciphertext: Uint8Array) => Promise<unknown>,
  outcomes: { [S in Exclude<State, 'Enabled'>]: 'ok' | ((key: Key) => string) },
  kind: Kind = {},
): void {
  describe('a key that is', () => {
    test.each([
      ['Enabled', 'ok'],
      ['Disabled', outcomes.Disabled],
      ['PendingDeletion', outcomes.PendingDeletion],
    ] as const)('%s', async (state, outcome) => {
      const key = await makeKey(kms, kind)
      const ciphertext = await ciphertextOf(key, kind)
      await putInState(key, state)
      const called = call(key, ciphertext)
      if (outcome === 'ok') await called
      else expect(await refusal(called)).toBe(outcome(key))
    })
  })
}

/** The row of the cryptographic operations. */
export const ONLY_ENABLED = { Disabled: disabled, PendingDeletion: pendingDeletion }
export const ANY_STATE = { Disabled: 'ok', PendingDeletion: 'ok' } as const
/** The row of most changes. */
export const NOT_PENDING = { Disabled: 'ok', PendingDeletion: pendingDeletion } as const

interface CryptographicMembers {
  readonly KeyId?: string
  readonly DryRun?: boolean
  readonly GrantTokens?: string[]
}

/** DryRun and grant tokens. `call` adds the members to a request that would succeed. */
export function takesDryRun(
  call: (members: CryptographicMembers, ciphertext: Uint8Array) => Promise<unknown>,
  kind: Kind = {},
): void {
  describe('with DryRun', () => {
    test('a request that would succeed', async () => {
      const key = await standingKey(kind)
      expect(await refusal(call({ KeyId: key.id, DryRun: true }, await ciphertextOf(key, kind)))).toBe(DRY_RUN)
    })

    test('false, it is performed', async () => {
      const key = await standingKey(kind)
      await call({ KeyId: key.id, DryRun: false }, await ciphertextOf(key, kind))
    })

    test.each([
      ['Disabled', disabled],
      ['PendingDeletion', pendingDeletion],
    ] as const)('a key that is %s is refused as ever', async (state, expected) => {
      const key = await makeKey(kms, kind)
      const ciphertext = await ciphertextOf(key, kind)
      await putInState(key, state)
      expect(await refusal(call({ KeyId: key.id, DryRun: true }, ciphertext))).toBe(expected(key))
    })

    test('an unknown key is refused as ever', async () => {
      const ciphertext = await ciphertextOf(await standingKey(kind), kind)
      expect(await refusal(call({ KeyId: 'no-key', DryRun: true }, ciphertext))).toBe(
        notFound("Invalid keyId 'no-key'"),
      )
    })
  })
  takesGrantTokens(call, kind)
}

const GRANT_TOKEN_RULES =
  'Member must have length less than or equal to 8192, Member must have length greater than or equal to 1'

export function takesGrantTokens(
  call: (members: { KeyId: string; GrantTokens: string[] }, ciphertext: Uint8Array) => Promise<unknown>,
  kind: Kind = {},
): void {
  test.each<[what: string, tokens: string[], refusal: string | undefined]>([
    ['none', [], undefined],
    ['an unknown one', ['abc'], 'InvalidGrantTokenException: The grant token is not valid.'],
    ['an empty one', [''], invalid('grantTokens', '[]', `satisfy constraint: [${GRANT_TOKEN_RULES}]`)],
    [
      'eleven',
      Array(11).fill('abc'),
      invalid('grantTokens', `[${Array(11).fill('abc').join(', ')}]`, 'have length less than or equal to 10'),
    ],
  ])('grant tokens: %s', async (_, GrantTokens, expected) => {
    const key = await standingKey(kind)
    const called = call({ KeyId: key.id, GrantTokens }, await ciphertextOf(key, kind))
    if (expected === undefined) await called
    else expect(await refusal(called)).toBe(expected)
  })
}

/** What is said of an alias name that does not begin as it must. */
export const WITHOUT_PREFIX =
  'ValidationException: Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html'

/** Every page of a list, read with `Limit`. No page may be longer, and every page but the last must be full. */
export async function readPages<T>(
  limit: number,
  read: (page: { Limit: number; Marker?: string }) => Promise<{
    items: T[] | undefined
    Truncated?: boolean | undefined
    NextMarker?: string | undefined
  }>,
): Promise<T[][]> {
  const pages: T[][] = []
  let marker: string | undefined
  do {
    const { items, Truncated, NextMarker } = await read({
      Limit: limit,
      ...(marker === undefined ? {} : { Marker: marker }),
    })
    pages.push(items!)
    expect(NextMarker === undefined).toBe(Truncated === false)
    expect(items!.length === limit || Truncated === false).toBe(true)
    marker = NextMarker
  } while (marker !== undefined)
  return pages
}

/** Limit and Marker as every list takes them. `maxLimit` is the list's own ceiling. */
export function takesPages(
  maxLimit: number,
  call: (page: { Limit?: number; Marker?: string }) => Promise<unknown>,
): void {
  const modelMax = 1_000
  const tooLong = 'a'.repeat(1_025)
  test.each<[what: string, page: { Limit?: number; Marker?: string }, expected: string | undefined]>([
    ['its greatest Limit', { Limit: maxLimit }, undefined],
    ['Limit 0', { Limit: 0 }, invalid('limit', '0', 'have value greater than or equal to 1')],
    [
      'a Limit above it',
      { Limit: maxLimit + 1 },
      invalid('limit', String(maxLimit + 1), `have value less than or equal to ${maxLimit}`),
    ],
    [
      'a Limit above all',
      { Limit: modelMax + 1 },
      invalid('limit', '1001', `have value less than or equal to ${modelMax}`),
    ],
    ['an invented Marker', { Marker: 'abc' }, 'InvalidMarkerException: The marker is not valid.'],
    ['a Marker of no characters', { Marker: '' }, invalid('marker', '', 'have length greater than or equal to 1')],
    ['a Marker of too many', { Marker: tooLong }, invalid('marker', tooLong, 'have length less than or equal to 1024')],
    [
      'a Marker beyond Latin-1',
      { Marker: '\u0100' },
      invalid('marker', '\u0100', 'satisfy regular expression pattern: ^[\\u0020-\\u00FF]*$'),
    ],
  ])('%s', async (_, page, expected) => {
    const called = call(page)
    if (expected === undefined) await called
    else expect(await refusal(called)).toBe(expected)
  })
}
