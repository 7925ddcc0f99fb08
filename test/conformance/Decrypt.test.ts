import type { DecryptRequest } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import {
  accountId,
  answer,
  bytes,
  DRY_RUN,
  disabled,
  elsewhere,
  encrypt,
  INVALID_CIPHERTEXT,
  invalid,
  kms,
  MATERIAL_ID,
  makeKey,
  putInState,
  refusal,
  text,
} from './kms.ts'
import { send } from './raw.ts'
import { ONLY_ENABLED, obeysKeyState, standingKey, takesDryRun, takesKeyId } from './rules.ts'

const UNKNOWN_KEY =
  'AccessDeniedException: The ciphertext refers to a customer master key that does not exist, does not exist in this region, or you are not allowed to access.'
const INCORRECT_KEY =
  'IncorrectKeyException: The key ID in the request does not identify a CMK that can perform this operation.'

describe('Decrypt', () => {
  takesKeyId((KeyId, CiphertextBlob) => kms.decrypt({ KeyId, CiphertextBlob }), {
    action: 'Decrypt',
    aliases: true,
    required: false,
  })
  obeysKeyState((_, CiphertextBlob) => kms.decrypt({ CiphertextBlob }), ONLY_ENABLED)
  takesDryRun((members, CiphertextBlob) => kms.decrypt({ CiphertextBlob, ...members }))

  test('returns plaintext, key, algorithm and key material', async () => {
    const key = await standingKey()
    const CiphertextBlob = await encrypt(key)
    expect(await answer(kms.decrypt({ CiphertextBlob, EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' }))).toStrictEqual({
      KeyId: key.arn,
      Plaintext: text('attack at dawn'),
      EncryptionAlgorithm: 'SYMMETRIC_DEFAULT',
      KeyMaterialId: MATERIAL_ID,
    })
  })

  test.each<[what: string, members: Partial<DecryptRequest>, expected: string]>([
    ['no ciphertext', { CiphertextBlob: undefined }, invalid('ciphertextBlob', null, 'not be null')],
    [
      'an empty ciphertext',
      { CiphertextBlob: bytes(0) },
      invalid('ciphertextBlob', undefined, 'have length greater than or equal to 1'),
    ],
    [
      '6,145 bytes',
      { CiphertextBlob: bytes(6_145) },
      invalid('ciphertextBlob', undefined, 'have length less than or equal to 6144'),
    ],
    ['6,144 bytes of something else', { CiphertextBlob: bytes(6_144) }, INVALID_CIPHERTEXT],
    ['one byte of something else', { CiphertextBlob: bytes(1) }, INVALID_CIPHERTEXT],
    [
      'an algorithm of other keys',
      { EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' },
      'InvalidKeyUsageException: Algorithm RSAES_OAEP_SHA_256 is incompatible with key spec SYMMETRIC_DEFAULT.',
    ],
    [
      'a recipient',
      { Recipient: { KeyEncryptionAlgorithm: 'RSAES_OAEP_SHA_256', AttestationDocument: bytes(9) } },
      'UnsupportedOperationException: Recipient is not supported: there is no attestation here.',
    ],
  ])('refuses %s, in a dry run too', async (_, members, expected) => {
    const CiphertextBlob = await encrypt(await standingKey())
    for (const DryRun of [false, true]) {
      expect(await refusal(kms.decrypt({ CiphertextBlob, DryRun, ...members }))).toBe(expected)
    }
  })

  describe('a ciphertext that is', () => {
    test('of another key than the one named', async () => {
      const CiphertextBlob = await encrypt(await standingKey())
      const { id, arn } = await makeKey()
      for (const KeyId of [id, arn]) expect(await refusal(kms.decrypt({ CiphertextBlob, KeyId }))).toBe(INCORRECT_KEY)
    })

    test('of another region', async () => {
      const { id } = await makeKey(elsewhere)
      const { CiphertextBlob } = await elsewhere.encrypt({ KeyId: id, Plaintext: bytes(1) })
      expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe(UNKNOWN_KEY)
    })

    test('changed in any byte', async () => {
      const key = await standingKey()
      const ciphertext = await encrypt(key)
      const offsets = new Map<string, number[]>()
      for (const at of ciphertext.keys()) {
        const CiphertextBlob = Uint8Array.from(ciphertext)
        CiphertextBlob[at]! ^= 0x80 >> (at % 8)
        const said = await refusal(kms.decrypt({ CiphertextBlob }))
        offsets.set(said, [...(offsets.get(said) ?? []), at])
      }
      // Bytes 5 to 21 name the key, and a key that is unknown is refused like a foreign one.
      const nameOfKey = Array.from({ length: 17 }, (_, at) => at + 5)
      const others = [...ciphertext.keys()].filter(at => !nameOfKey.includes(at))
      expect(Object.fromEntries(offsets)).toEqual({ [INVALID_CIPHERTEXT]: others, [UNKNOWN_KEY]: nameOfKey })
    })

    test('cut anywhere, or longer', async () => {
      const ciphertext = await encrypt(await standingKey())
      const wrong = [Uint8Array.of(...ciphertext, 0), Uint8Array.of(0, ...ciphertext), ciphertext.subarray(1)]
      for (let length = 1; length < ciphertext.length; length++) wrong.push(ciphertext.subarray(0, length))
      for (const CiphertextBlob of wrong)
        expect(await refusal(kms.decrypt({ CiphertextBlob }))).toBe(INVALID_CIPHERTEXT)
    })

    test('tampered with gets an answer that is the same to the byte, whatever is wrong', async () => {
      const blob = Buffer.from(await encrypt(await standingKey(), { purpose: 'test' }))
      const changed = Buffer.from(blob)
      changed[blob.length - 1]! ^= 1
      for (const [ciphertext, EncryptionContext] of [
        [blob, { purpose: 'tes' }],
        [changed, { purpose: 'test' }],
        [blob.subarray(0, 50), {}],
      ] as const) {
        const body = { CiphertextBlob: ciphertext.toString('base64'), EncryptionContext }
        const { status, text } = await send({ operation: 'Decrypt', body })
        expect({ status, text }).toEqual({ status: 400, text: '{"__type":"InvalidCiphertextException"}' })
      }
    })
  })

  describe('with an encryption context', () => {
    const context = { tenant: '42', purpose: 'orders', Ünïcode: 'naïve' }
    const astral = { '😀': '🔑', '￿': 'above the surrogates', é: 'composed' }

    test.each<[what: string, given: object | undefined, repeated: object | undefined]>([
      ['that is the same', context, { ...context }],
      ['in another order', context, { Ünïcode: 'naïve', purpose: 'orders', tenant: '42' }],
      ['of astral characters, in another order', astral, { é: 'composed', '￿': 'above the surrogates', '😀': '🔑' }],
      ['that is empty, and was absent', undefined, {}],
      ['that is absent, and was empty', {}, undefined],
      ['of empty strings', { '': '' }, { '': '' }],
    ])('%s', async (_, given, repeated) => {
      const CiphertextBlob = await encrypt(await standingKey(), given as Record<string, string>)
      const EncryptionContext = repeated as Record<string, string>
      expect((await kms.decrypt({ CiphertextBlob, EncryptionContext })).Plaintext).toEqual(text('attack at dawn'))
    })

    test.each<[what: string, repeated: Record<string, string> | undefined]>([
      ['none', undefined],
      ['less', { tenant: '42', purpose: 'orders' }],
      ['more', { ...context, more: '' }],
      ['another value', { ...context, tenant: '43' }],
      ['a value in capitals', { ...context, purpose: 'Orders' }],
      ['a key in capitals', { Tenant: '42', purpose: 'orders', Ünïcode: 'naïve' }],
      ['keys and values exchanged', { '42': 'tenant', purpose: 'orders', Ünïcode: 'naïve' }],
      ['other bytes for the same characters', { ...context, Ünïcode: 'naïve'.normalize('NFD') }],
      ['a space more', { ...context, tenant: '42 ' }],
      ['a boundary moved', { tenant4: '2', purpose: 'orders', Ünïcode: 'naïve' }],
    ])('%s instead of it is refused', async (_, EncryptionContext) => {
      const CiphertextBlob = await encrypt(await standingKey(), context)
      expect(await refusal(kms.decrypt({ CiphertextBlob, EncryptionContext }))).toBe(INVALID_CIPHERTEXT)
    })

    // The SDK does not send these as they stand.
    const decryptRaw = async (given: string, repeated: string) => {
      const { id } = await standingKey()
      const members = (context: string, rest: object) =>
        `{"EncryptionContext":${context},${JSON.stringify(rest).slice(1)}`
      const made = await send({ operation: 'Encrypt', body: members(given, { KeyId: id, Plaintext: 'YQ==' }) })
      const { CiphertextBlob } = JSON.parse(made.text)
      return send({ operation: 'Decrypt', body: members(repeated, { CiphertextBlob }) })
    }

    test.each([
      ['__proto__', '{"__proto__":"x"}', '{"__proto__":"x"}', 200],
      ['__proto__ against nothing', '{"__proto__":"x"}', '{}', 400],
      ['nothing against __proto__', '{}', '{"__proto__":"x"}', 400],
      ['__proto__ of another value', '{"__proto__":"x"}', '{"__proto__":"y"}', 400],
      ['constructor and toString', '{"constructor":"x","toString":"y"}', '{"toString":"y","constructor":"x"}', 200],
      ['a number read as text', '{"a":42}', '{"a":"42"}', 200],
      ['a boolean read as text', '{"a":true}', '{"a":"true"}', 200],
      ['escapes read as characters', '{"\\u0061":"\\ud83d\\ude00"}', '{"a":"😀"}', 200],
    ])('%s', async (_, given, repeated, status) => {
      const reply = await decryptRaw(given, repeated)
      expect(reply.status).toBe(status)
      if (status === 400) expect(reply.text).toBe('{"__type":"InvalidCiphertextException"}')
      else expect(JSON.parse(reply.text).Plaintext).toBe('YQ==')
    })

    const reason = (code: string, message: string) => JSON.stringify({ __type: code, message })
    const map = reason('SerializationException', 'Expected a map of strings')
    test.each([
      ['a list', '[]', map],
      ['text', '"a"', map],
      ['a map in a map', '{"a":{}}', map],
      ['null for a value', '{"a":null}', map],
      [
        'half a surrogate pair',
        '{"a":"\\ud800"}',
        reason(
          'ValidationException',
          "1 validation error detected: Value at 'encryptionContext' failed to satisfy constraint: Member must be well-formed Unicode",
        ),
      ],
    ])('%s is refused', async (_, context, expected) => {
      const { id } = await standingKey()
      const body = `{"KeyId":"${id}","Plaintext":"YQ==","EncryptionContext":${context}}`
      expect(await send({ operation: 'Encrypt', body })).toMatchObject({ status: 400, text: expected })
    })
  })

  describe('DryRun with IGNORE_CIPHERTEXT', () => {
    const ignoring = { DryRun: true, DryRunModifiers: ['IGNORE_CIPHERTEXT' as const] }

    test.each([
      ['needs no ciphertext', undefined],
      ['does not look at one', bytes(9)],
    ])('%s', async (_, CiphertextBlob) => {
      const { id } = await standingKey()
      expect(await refusal(kms.decrypt({ KeyId: id, CiphertextBlob, ...ignoring }))).toBe(DRY_RUN)
    })

    test('needs to be told the key', async () => {
      const CiphertextBlob = await encrypt(await standingKey())
      for (const members of [{ CiphertextBlob }, {}]) {
        expect(await refusal(kms.decrypt({ ...members, ...ignoring }))).toBe(invalid('keyId', null, 'not be null'))
      }
    })

    test('is for dry runs only', async () => {
      const { id } = await standingKey()
      const { DryRunModifiers } = ignoring
      expect(await refusal(kms.decrypt({ KeyId: id, DryRunModifiers }))).toBe(
        'ValidationException: DryRunModifiers can be used only when DryRun is true.',
      )
    })

    test('refuses what the call would refuse', async () => {
      const key = await makeKey()
      await putInState(key, 'Disabled')
      expect(await refusal(kms.decrypt({ KeyId: key.id, ...ignoring }))).toBe(disabled(key))
      expect(await refusal(kms.decrypt({ KeyId: 'no-key', ...ignoring }))).toBe(
        "NotFoundException: Invalid keyId 'no-key'",
      )
    })

    test('knows no other modifier', async () => {
      const { id } = await standingKey()
      const call = kms.decrypt({ KeyId: id, DryRun: true, DryRunModifiers: ['IGNORE' as 'IGNORE_CIPHERTEXT'] })
      expect(await refusal(call)).toBe(
        invalid(
          'dryRunModifiers',
          '[IGNORE]',
          'satisfy constraint: [Member must satisfy enum value set: [IGNORE_CIPHERTEXT]]',
        ),
      )
    })
  })

  test('a ciphertext stays readable when its key was disabled and enabled again', async () => {
    const key = await makeKey()
    const CiphertextBlob = await encrypt(key)
    await putInState(key, 'Disabled')
    await kms.enableKey({ KeyId: key.id })
    expect((await kms.decrypt({ CiphertextBlob })).KeyId).toContain(`:${accountId}:key/${key.id}`)
  })
})
