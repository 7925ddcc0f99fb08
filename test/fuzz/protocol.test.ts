/**
 * Random bodies for every operation, signed by a caller who may do everything: whatever they hold, the answer comes in
 * time, is JSON, and is a success or a code of the catalogue, never a fault of the daemon's own.
 */
import { expect, test } from '@jest/globals'
import fc from 'fast-check'
import { catalogue, type ErrorCode } from '../../src/model/errors.ts'
import type { OperationName } from '../../src/model/operations.ts'
import { registry } from '../../src/operations/registry.ts'
import { accountId, encrypt, type Key, kms, makeAlias, makeKey, region } from '../conformance/kms.ts'
import { type Reply, send } from '../conformance/raw.ts'
import { runs, TIMEOUT_MS } from './runs.ts'

const ANSWER_MS = 10_000
/** At once, for the time that they take. */
const BATCH = 10

const symmetric = await makeKey()
const hmac = await makeKey(kms, { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' })
const pair = await makeKey(kms, { KeySpec: 'ECC_NIST_P256', KeyUsage: 'SIGN_VERIFY' })
const alias = await makeAlias(symmetric)
const blob = Buffer.from(await encrypt(symmetric)).toString('base64')
const { GrantId, GrantToken } = await kms.createGrant({
  ...{ KeyId: symmetric.id, GranteePrincipal: `arn:aws:iam::${accountId}:root`, Operations: ['Encrypt'] },
})

/** What an input may well hold: names of things that exist, or almost. */
const plausible = fc.constantFrom<unknown>(
  ...[symmetric.id, symmetric.arn, hmac.id, pair.arn, alias, GrantId, GrantToken, blob, accountId],
  ...[
    '',
    'alias/',
    'alias/aws/x',
    'default',
    'ECDH',
    'RAW',
    'DIGEST',
    'AWS_KMS',
    'EXTERNAL',
    '__proto__',
    '\ud800',
    '\0',
  ],
  ...[`arn:aws:kms:${region}:${accountId}:key/`, `arn:aws:kms:${region}:111122223333:alias/x`, 'arn:aws:kms', '::::::'],
  ...['{}', '{"Statement":[]}', '{"Version":"2012-10-17","Statement":{"Effect":"Deny"}}', 'AAAA', 'A===', '*'],
  ...[0, -1, 1, 7, 90, 1_024, 2 ** 31, 2 ** 53, 1e308, 0.5, -0, true, false, null],
  ...[
    'x'.repeat(2_049),
    'QUFB'.repeat(2_048),
    [],
    {},
    [[]],
    [null],
    { a: 1 },
    { a: 'b' },
    [{ TagKey: 'a', TagValue: '' }],
  ],
)
const anything = fc.oneof(plausible, fc.jsonValue({ maxDepth: 3 }))

/** What makes sense, so that enough bodies get past the shapes. Members that are a list of words have it in theirs. */
const sensible: Readonly<Record<string, readonly unknown[]>> = {
  KeyId: [symmetric.id, symmetric.arn, hmac.id, pair.arn],
  ...{ SourceKeyId: [symmetric.id], DestinationKeyId: [symmetric.arn, pair.id], TargetKeyId: [symmetric.id, hmac.arn] },
  ...{ AliasName: [alias, 'alias/another'], NumberOfBytes: [32], Operations: [['Encrypt'], ['GenerateMac']] },
  ...{ CiphertextBlob: [blob], Plaintext: ['QUFB'], Message: ['QUFB'], Mac: ['QUFB'], Signature: ['QUFB'] },
  ...{ GranteePrincipal: [`arn:aws:iam::${accountId}:root`], RetiringPrincipal: [`arn:aws:iam::${accountId}:root`] },
  ...{
    GrantId: [GrantId],
    EncryptionContext: [{ a: 'b' }],
    DryRun: [true, false],
    PolicyName: ['default'],
    Limit: [1],
  },
  ...{ Tags: [[{ TagKey: 'a', TagValue: 'b' }]], TagKeys: [['a']], PublicKey: ['QUFB'], Description: ['seen'] },
}

interface Definition {
  readonly type: string
  readonly innerType?: { readonly def: Definition }
  readonly entries?: Readonly<Record<string, string>>
}

/** A member's value, now and then anything at all; undefined where it is left out, as most optional ones are. */
function memberOf(name: string, { def }: { readonly def: Definition }): fc.Arbitrary<unknown> {
  const { entries } = def.innerType?.def ?? def
  const known = sensible[name] ?? (entries && Object.values(entries))
  const value = known ? fc.oneof({ weight: 8, arbitrary: fc.constantFrom(...known) }, anything) : anything
  const absent = fc.constant(undefined)
  if (def.type === 'optional') return fc.oneof({ weight: 3, arbitrary: absent }, value)
  return fc.oneof({ weight: 12, arbitrary: value }, absent)
}

/** Objects with the operation's members; and bodies that are no such object, or no JSON. */
function bodyOf(operation: OperationName): fc.Arbitrary<string | Buffer> {
  const shape = registry.get(operation)!.input.shape as Readonly<Record<string, { readonly def: Definition }>>
  const names = Object.keys(shape)
  const members = Object.fromEntries(names.map(name => [name, memberOf(name, shape[name]!)]))
  const strange = fc.dictionary(fc.constantFrom('__proto__', 'KeyId', 'toString', ...names), anything)
  return fc.oneof(
    { weight: 12, arbitrary: fc.record(members).map(json => JSON.stringify(json)) },
    strange.map(json => JSON.stringify(json)),
    fc.json(),
    fc.string({ unit: 'binary' }),
    fc.uint8Array({ maxLength: 64 }).map(bytes => Buffer.from(bytes)),
    fc.nat(5_000).map(depth => '{"KeyId":'.repeat(depth)),
    fc.nat(5_000).map(depth => `{"KeyId":${'['.repeat(depth)}${']'.repeat(depth)}}`),
  )
}

/** The way into most operations leads through keys that are enabled. */
async function revive({ id: KeyId }: Key): Promise<void> {
  const { KeyMetadata } = await kms.describeKey({ KeyId })
  if (KeyMetadata?.KeyState === 'PendingDeletion') await kms.cancelKeyDeletion({ KeyId })
  if (KeyMetadata?.KeyState !== 'Enabled') await kms.enableKey({ KeyId })
}

const cases = fc
  .constantFrom(...registry.keys())
  .chain(operation => fc.tuple(fc.constant(operation), bodyOf(operation)))
const batches = fc.array(cases, { minLength: BATCH, maxLength: BATCH })

const REACHED = [
  ...['ok', 'SerializationException', 'ValidationException', 'NotFoundException', 'InvalidKeyUsageException'],
  'DryRunOperationException',
]

test(
  'no body makes the daemon fail',
  async () => {
    const codes = new Set<string>()
    const attempt = async ([operation, body]: [OperationName, string | Buffer]) => {
      const { status, text } = await inTime(send({ operation, body }))
      const { __type: code } = JSON.parse(text) as { __type?: ErrorCode }
      codes.add(code ?? 'ok')
      expect({ operation, code, status }).toEqual({ operation, code, status: code ? catalogue[code].status : 200 })
      expect({ operation, code, failed: status >= 500 }).toEqual({ operation, code, failed: false })
    }
    await fc.assert(
      fc.asyncProperty(batches, async batch => {
        const isLook = ([operation]: (typeof batch)[number]) => registry.get(operation)?.readOnly
        await Promise.all(batch.filter(isLook).map(attempt))
        // What changes do to each other when they meet is not the matter here.
        for (const change of batch.filter(each => !isLook(each))) await attempt(change)
        const stopping = batch.some(([name]) => name === 'DisableKey' || name === 'ScheduleKeyDeletion')
        if (stopping) await Promise.all([symmetric, hmac, pair].map(revive))
      }),
      runs(3_000 / BATCH, 100_000 / BATCH),
    )
    // Random as they are, the bodies get past the shapes, past the names of keys, and into the tokens.
    expect(REACHED.filter(code => !codes.has(code))).toEqual([])
  },
  TIMEOUT_MS,
)

async function inTime(call: Promise<Reply>): Promise<Reply> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer in ${ANSWER_MS} ms`)), ANSWER_MS)
  })
  try {
    return await Promise.race([call, late])
  } finally {
    clearTimeout(timer)
  }
}
