import { type CreateKeyRequest, CustomerMasterKeySpec, KeySpec, KeyUsageType } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { accountId, answer, callerArn, invalid, kms, MATERIAL_ID, refusal, region } from './kms.ts'

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

/** What each spec but SYMMETRIC_DEFAULT can be made for: kms-api.md section 4. */
const USAGES: Readonly<Record<Exclude<KeySpec, 'SYMMETRIC_DEFAULT'>, readonly KeyUsageType[]>> = {
  RSA_2048: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY'],
  RSA_3072: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY'],
  RSA_4096: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY'],
  ECC_NIST_P256: ['SIGN_VERIFY', 'KEY_AGREEMENT'],
  ECC_NIST_P384: ['SIGN_VERIFY', 'KEY_AGREEMENT'],
  ECC_NIST_P521: ['SIGN_VERIFY', 'KEY_AGREEMENT'],
  ECC_SECG_P256K1: ['SIGN_VERIFY'],
  ECC_NIST_EDWARDS25519: ['SIGN_VERIFY'],
  HMAC_224: ['GENERATE_VERIFY_MAC'],
  HMAC_256: ['GENERATE_VERIFY_MAC'],
  HMAC_384: ['GENERATE_VERIFY_MAC'],
  HMAC_512: ['GENERATE_VERIFY_MAC'],
  ML_DSA_44: ['SIGN_VERIFY'],
  ML_DSA_65: ['SIGN_VERIFY'],
  ML_DSA_87: ['SIGN_VERIFY'],
  ML_KEM_512: ['ENCAPSULATE_DECAPSULATE'],
  ML_KEM_768: ['ENCAPSULATE_DECAPSULATE'],
  ML_KEM_1024: ['ENCAPSULATE_DECAPSULATE'],
  SM2: ['ENCRYPT_DECRYPT', 'SIGN_VERIFY', 'KEY_AGREEMENT'],
}

/** What SoftHSM lacks for a spec. */
const NOT_MADE: Readonly<Record<string, string>> = {
  SM2: 'a mechanism that PKCS#11 does not have.',
  ...Object.fromEntries(['ML_DSA_44', 'ML_DSA_65', 'ML_DSA_87'].map(spec => [spec, lacking('ML_DSA')])),
  ...Object.fromEntries(['ML_KEM_512', 'ML_KEM_768', 'ML_KEM_1024'].map(spec => [spec, lacking('ML_KEM')])),
}

function lacking(family: string): string {
  return `CKM_${family}_KEY_PAIR_GEN and CKM_${family}, which no token of this Region has.`
}

const defaultPolicy = (principal: unknown, more: object = {}) =>
  JSON.stringify({
    Version: '2012-10-17',
    Statement: [{ Effect: 'Allow', Principal: principal, Action: 'kms:*', Resource: '*', ...more }],
  })
const ROOT = { AWS: `arn:aws:iam::${accountId}:root` }
const VIA = { StringEquals: { 'kms:ViaService': 's3.on-prem-1.amazonaws.com' } }
const tags = (count: number) => Array.from({ length: count }, (_, at) => ({ TagKey: `k${at}`, TagValue: '' }))

describe('CreateKey', () => {
  test('makes a symmetric encryption key, and returns all of it', async () => {
    const before = Date.now()
    const { KeyMetadata } = await answer(kms.createKey({}))
    const id = KeyMetadata!.KeyId!
    expect(id).toMatch(UUID)
    expect(KeyMetadata).toStrictEqual({
      AWSAccountId: accountId,
      KeyId: id,
      Arn: `arn:aws:kms:${region}:${accountId}:key/${id}`,
      CreationDate: expect.any(Date),
      Enabled: true,
      Description: '',
      KeyUsage: 'ENCRYPT_DECRYPT',
      KeyState: 'Enabled',
      Origin: 'AWS_KMS',
      KeyManager: 'CUSTOMER',
      CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT',
      KeySpec: 'SYMMETRIC_DEFAULT',
      EncryptionAlgorithms: ['SYMMETRIC_DEFAULT'],
      MultiRegion: false,
      CurrentKeyMaterialId: MATERIAL_ID,
    })
    expect(KeyMetadata!.CreationDate!.getTime()).toBeGreaterThanOrEqual(before)
    expect(KeyMetadata!.CreationDate!.getTime()).toBeLessThanOrEqual(Date.now())
  })

  test.each<[what: string, members: CreateKeyRequest, expected: object]>([
    ['a description', { Description: 'orders' }, { Description: 'orders' }],
    ['a description of 8,192 characters', { Description: 'é🔑'.repeat(4_096) }, { Description: 'é🔑'.repeat(4_096) }],
    ['KeySpec', { KeySpec: 'SYMMETRIC_DEFAULT' }, { KeySpec: 'SYMMETRIC_DEFAULT' }],
    [
      'KeySpec under its old name',
      { CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT', KeyUsage: 'ENCRYPT_DECRYPT' },
      { KeySpec: 'SYMMETRIC_DEFAULT', CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT' },
    ],
    ['Origin AWS_KMS', { Origin: 'AWS_KMS' }, { Origin: 'AWS_KMS' }],
    ['MultiRegion false', { MultiRegion: false }, { MultiRegion: false }],
    ['the default policy', { Policy: defaultPolicy(ROOT), BypassPolicyLockoutSafetyCheck: true }, {}],
    ['the default policy for the account by its number', { Policy: defaultPolicy({ AWS: accountId }) }, {}],
    ['a policy for the caller', { Policy: defaultPolicy({ AWS: callerArn }) }, {}],
    ['a policy for everybody', { Policy: defaultPolicy('*') }, {}],
    [
      'a policy that lets nobody in, when told to',
      { Policy: defaultPolicy(ROOT, { Effect: 'Deny' }), BypassPolicyLockoutSafetyCheck: true },
      {},
    ],
    ['no tags', { Tags: [] }, {}],
    ['50 tags', { Tags: tags(50) }, {}],
  ])('takes %s', async (_, members, expected) => {
    expect((await kms.createKey(members)).KeyMetadata).toMatchObject(expected)
  })

  test('gives the key its tags', async () => {
    const { KeyMetadata } = await kms.createKey({ Tags: [{ TagKey: 'team', TagValue: 'billing' }] })
    const { Tags } = await kms.listResourceTags({ KeyId: KeyMetadata!.KeyId! })
    expect(Tags).toStrictEqual([{ TagKey: 'team', TagValue: 'billing' }])
  })

  test.each(Object.keys(USAGES) as (keyof typeof USAGES)[])('%s: fitting usages only', async spec => {
    for (const usage of Object.values(KeyUsageType)) {
      const call = kms.createKey({ KeySpec: spec, KeyUsage: usage })
      if (!USAGES[spec].includes(usage)) {
        expect(await refusal(call)).toBe(
          `ValidationException: KeyUsage ${usage} is not compatible with KeySpec ${spec}`,
        )
      } else if (NOT_MADE[spec] !== undefined) {
        expect(await refusal(call)).toBe(`UnsupportedOperationException: KeySpec ${spec} needs ${NOT_MADE[spec]}`)
      } else {
        expect((await call).KeyMetadata).toMatchObject({ KeySpec: spec, KeyUsage: usage, KeyState: 'Enabled' })
      }
    }
    expect(await refusal(kms.createKey({ KeySpec: spec }))).toBe(
      'ValidationException: You must specify a KeyUsage value for all KMS keys except for symmetric encryption keys.',
    )
  })

  test.each(Object.values(KeyUsageType).filter(usage => usage !== 'ENCRYPT_DECRYPT'))(
    'SYMMETRIC_DEFAULT is not for %s',
    async KeyUsage => {
      expect(await refusal(kms.createKey({ KeyUsage }))).toBe(
        `ValidationException: KeyUsage ${KeyUsage} is not compatible with KeySpec SYMMETRIC_DEFAULT`,
      )
    },
  )

  const long = 'a'.repeat(8_193)
  const unsupported = (what: string) => `UnsupportedOperationException: ${what} is not supported yet.`
  const lockout =
    'MalformedPolicyDocumentException: The new key policy will not allow you to update the key policy in the future.'
  const twoSpecs =
    'ValidationException: You cannot specify KeySpec and CustomerMasterKeySpec in the same request. CustomerMasterKeySpec is deprecated.'
  const malformed = (why: string) => `MalformedPolicyDocumentException: The policy is not valid: ${why}.`

  test.each<[what: string, members: object, expected: string]>([
    [
      'both names of KeySpec, with different values',
      { KeySpec: 'RSA_2048', CustomerMasterKeySpec: 'RSA_4096', KeyUsage: 'SIGN_VERIFY' },
      twoSpecs,
    ],
    [
      'both names of KeySpec, with one value',
      { KeySpec: 'SYMMETRIC_DEFAULT', CustomerMasterKeySpec: 'SYMMETRIC_DEFAULT' },
      twoSpecs,
    ],
    ['Origin AWS_CLOUDHSM', { Origin: 'AWS_CLOUDHSM' }, unsupported('Origin AWS_CLOUDHSM')],
    ['Origin EXTERNAL_KEY_STORE', { Origin: 'EXTERNAL_KEY_STORE' }, unsupported('Origin EXTERNAL_KEY_STORE')],
    ['CustomKeyStoreId', { CustomKeyStoreId: 'cks-1234567890abcdef0' }, unsupported('CustomKeyStoreId')],
    [
      'a description that is too long',
      { Description: long },
      invalid('description', long, 'have length less than or equal to 8192'),
    ],
    ['a tag key twice', { Tags: [...tags(1), ...tags(1)] }, 'TagException: Duplicate tag keys'],
    [
      'a reserved tag key',
      { Tags: [{ TagKey: 'AWS:x', TagValue: '' }] },
      'TagException: Tags beginning with aws: are reserved',
    ],
    ['51 tags', { Tags: tags(51) }, 'TagException: Too many tags'],
    [
      'an empty tag key',
      { Tags: [...tags(1), { TagKey: '', TagValue: '' }] },
      invalid('tags.2.member.tagKey', '', 'have length greater than or equal to 1'),
    ],
    ['a tag without value', { Tags: [{ TagKey: 'a' }] }, invalid('tags.1.member.tagValue', null, 'not be null')],
    ['a policy that is not JSON', { Policy: 'allow' }, malformed('it is not JSON')],
    ['a policy that is a list', { Policy: '[]' }, malformed('it is not a JSON object')],
    ['a policy without statement', { Policy: '{"Version":"2012-10-17"}' }, malformed('it has no statement')],
    [
      'a statement without Resource',
      { Policy: defaultPolicy(ROOT, { Resource: undefined }) },
      malformed('a statement has no Resource'),
    ],
    [
      'a policy for a group',
      { Policy: defaultPolicy({ AWS: [accountId, `arn:aws:iam::${accountId}:group/admins`] }) },
      'InvalidArnException: An ARN in the specified key policy is invalid.',
    ],
    ['a statement that is none', { Policy: '{"Statement":["Allow"]}' }, malformed('a statement is not an object')],
    ['a policy that denies', { Policy: defaultPolicy(ROOT, { Effect: 'Deny' }) }, lockout],
    ['a policy with less', { Policy: defaultPolicy(ROOT, { Action: 'kms:Encrypt' }) }, lockout],
    ['a policy with a condition that is not met', { Policy: defaultPolicy(ROOT, { Condition: VIA }) }, lockout],
    [
      'a condition element that is misspelt',
      { Policy: defaultPolicy(ROOT, { Conditions: {} }) },
      malformed('a statement has no element "Conditions"'),
    ],
    [
      'a policy for a user who is not there',
      { Policy: defaultPolicy({ AWS: [accountId, `arn:aws:iam::${accountId}:user/nobody`] }) },
      'MalformedPolicyDocumentException: Policy contains a statement with one or more invalid principals.',
    ],
    [
      'a policy of 32,769 bytes',
      { Policy: defaultPolicy(ROOT).padEnd(32_769) },
      'LimitExceededException: The key policy is longer than 32768 bytes.',
    ],
    [
      'a policy beyond Latin-1',
      { Policy: '{"Id":"\u0100"}' },
      invalid(
        'policy',
        '{"Id":"\u0100"}',
        'satisfy regular expression pattern: ^[\\u0009\\u000A\\u000D\\u0020-\\u00FF]+$',
      ),
    ],
  ])('refuses %s', async (_, members, expected) => {
    expect(await refusal(kms.createKey(members))).toBe(expected)
  })

  test.each<[member: string, values: readonly string[]]>([
    ['KeySpec', Object.values(KeySpec)],
    ['CustomerMasterKeySpec', Object.values(CustomerMasterKeySpec)],
    ['KeyUsage', Object.values(KeyUsageType)],
    ['Origin', ['AWS_KMS', 'EXTERNAL', 'AWS_CLOUDHSM', 'EXTERNAL_KEY_STORE']],
  ])('refuses an unknown %s and lists the known', async (member, values) => {
    const name = member.charAt(0).toLowerCase() + member.slice(1)
    const [said, listed] = (await refusal(kms.createKey({ [member]: 'AES_512' }))).split(/: \[|\]$/)
    expect(`${said}:`).toBe(invalid(name, 'AES_512', 'satisfy enum value set:'))
    expect(listed!.split(', ').sort()).toEqual([...values].sort())
  })

  test('reports all that is wrong in one refusal', async () => {
    const call = kms.createKey({ XksKeyId: 'no spaces', CustomKeyStoreId: 'a'.repeat(65) })
    const failures = [
      `Value '${'a'.repeat(65)}' at 'customKeyStoreId' failed to satisfy constraint: Member must have length less than or equal to 64`,
      "Value 'no spaces' at 'xksKeyId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^[a-zA-Z0-9-_.]+$",
    ]
    expect(await refusal(call)).toBe(`ValidationException: 2 validation errors detected: ${failures.join('; ')}`)
  })
})
