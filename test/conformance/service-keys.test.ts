/** Keys of services: `alias/aws/<service>`, made on first use, seen by customers and managed by nobody. */
import { type KMS, ListAliasesCommand, paginateListAliases } from '@aws-sdk/client-kms'
import { describe, expect, test } from '@jest/globals'
import { FULL, makeStranger, makeUser } from './callers.ts'
import { accountId, aliasArn, answer, kms, makeAlias, makeKey, OTHER_ACCOUNT, refusal, region, text } from './kms.ts'
import { type Credentials, credentialsOf, makeService, type Service } from './services.ts'

const aliasOf = ({ name }: Service) => `alias/aws/${name}`
const DAY_MS = 86_400_000

/** A user without any right, for whom a service calls. */
const user = await makeUser()
const userKeys = await credentialsOf({ account: accountId, name: user.name })
const generate = (client: KMS, service: Service) =>
  client.generateDataKey({ KeyId: aliasOf(service), KeySpec: 'AES_256', EncryptionContext: { volume: '1' } })

async function keysNamed(alias: string, client = kms): Promise<string[]> {
  const found: string[] = []
  for await (const { Aliases = [] } of paginateListAliases({ client, pageSize: 100 }, {}))
    found.push(...Aliases.flatMap(({ AliasName, TargetKeyId }) => (AliasName === alias ? (TargetKeyId ?? []) : [])))
  return found
}

/** A service with its key in the first account. */
async function makeServiceKey(): Promise<{ service: Service; keyId: string; keyArn: string; whom: Credentials }> {
  const service = await makeService(accountId)
  const { KeyId } = await generate(service.client({ for: userKeys }), service)
  return { service, keyId: KeyId!.split('/')[1]!, keyArn: KeyId!, whom: userKeys }
}

describe('the key of a service', () => {
  test('is made once, however many ask for it first', async () => {
    const service = await makeService(accountId)
    const client = service.client({ for: userKeys })
    const answers = await Promise.all(Array.from({ length: 8 }, () => generate(client, service)))
    expect(new Set(answers.map(({ KeyId }) => KeyId)).size).toBe(1)
    expect(await keysNamed(aliasOf(service))).toEqual([answers[0]!.KeyId!.split('/')[1]])
    for (const { CiphertextBlob, Plaintext } of answers) {
      const opened = await client.decrypt({ CiphertextBlob, EncryptionContext: { volume: '1' } })
      expect(opened.Plaintext).toEqual(Plaintext)
    }
  })

  test('is made by DescribeKey of somebody who may look, and described as AWS’s own', async () => {
    const service = await makeService(accountId)
    expect(await refusal(user.kms.describeKey({ KeyId: aliasOf(service) }))).toBe(
      `NotFoundException: Alias ${aliasArn(aliasOf(service))} is not found.`,
    )
    expect(await keysNamed(aliasOf(service))).toEqual([])
    const { KeyMetadata } = await answer(kms.describeKey({ KeyId: aliasOf(service) }))
    expect(KeyMetadata).toMatchObject({
      ...{ KeyManager: 'AWS', KeySpec: 'SYMMETRIC_DEFAULT', KeyUsage: 'ENCRYPT_DECRYPT', KeyState: 'Enabled' },
      ...{ Origin: 'AWS_KMS', AWSAccountId: accountId },
      Description: `Default key that protects what ${service.name} keeps when no other key is named`,
    })
    expect(await keysNamed(aliasOf(service))).toEqual([KeyMetadata!.KeyId])
  })

  test('is used through the service alone', async () => {
    const { service, keyArn } = await makeServiceKey()
    const another = await makeService(accountId)
    const use = { KeyId: keyArn, Plaintext: text('x') }
    for (const client of [kms, user.kms, service.client(), another.client({ for: userKeys })])
      expect(await refusal(client.encrypt(use))).toMatch(/^AccessDeniedException: User: .* kms:Encrypt/)
    await service.client({ for: userKeys }).encrypt(use)
  })

  test('is there for each account that the service acts for, and none reaches that of another', async () => {
    const service = await makeService(accountId, OTHER_ACCOUNT)
    const stranger = await makeStranger(FULL)
    const strangerKeys = await credentialsOf({ account: OTHER_ACCOUNT, name: stranger.name })
    const own = await generate(service.client({ for: userKeys }), service)
    const theirs = await generate(service.client({ for: strangerKeys }), service)
    expect(theirs.KeyId).toMatch(`arn:aws:kms:${region}:${OTHER_ACCOUNT}:key/`)
    const use = { KeyId: own.KeyId, Plaintext: text('x') }
    expect(await refusal(service.client({ for: strangerKeys }).encrypt(use))).toMatch(/^AccessDeniedException/)
    const unmade = `arn:aws:kms:${region}:${OTHER_ACCOUNT}:alias/aws/absent`
    expect(await refusal(kms.describeKey({ KeyId: unmade }))).toMatch(/^AccessDeniedException/)
  })

  test('is not made for a service that does not act for the account, or that is none', async () => {
    const [unregistered, elsewhere] = [await makeService(), await makeService(OTHER_ACCOUNT)]
    for (const alias of [aliasOf(unregistered), aliasOf(elsewhere), 'alias/aws/nobody', 'alias/aws/']) {
      expect(await refusal(kms.describeKey({ KeyId: alias }))).toBe(
        `NotFoundException: Alias ${aliasArn(alias)} is not found.`,
      )
      expect(await keysNamed(alias)).toEqual([])
    }
  })

  test('lets the account look, and take grants back', async () => {
    const { service, keyId, keyArn, whom } = await makeServiceKey()
    const { KeyRotationEnabled, RotationPeriodInDays, NextRotationDate } = await kms.getKeyRotationStatus({
      KeyId: keyId,
    })
    expect({ KeyRotationEnabled, RotationPeriodInDays }).toEqual({
      KeyRotationEnabled: true,
      RotationPeriodInDays: 365,
    })
    expect(Math.round((NextRotationDate!.getTime() - Date.now()) / DAY_MS)).toBe(365)
    const { Policy } = await kms.getKeyPolicy({ KeyId: keyId })
    expect(JSON.parse(Policy!)).toMatchObject({
      Statement: [
        {
          ...{ Effect: 'Allow', Principal: { AWS: '*' }, Resource: '*' },
          Condition: { StringEquals: { 'kms:CallerAccount': accountId, 'kms:ViaService': service.via } },
        },
        {
          ...{ Effect: 'Allow', Principal: { AWS: `arn:aws:iam::${accountId}:root` }, Resource: '*' },
          Action: ['kms:Describe*', 'kms:Get*', 'kms:List*', 'kms:RevokeGrant'],
        },
      ],
    })
    expect(await kms.listResourceTags({ KeyId: keyId })).toMatchObject({ Tags: [] })
    expect(await kms.listKeyPolicies({ KeyId: keyId })).toMatchObject({ PolicyNames: ['default'] })
    expect(await kms.send(new ListAliasesCommand({ KeyId: keyId }))).toMatchObject({
      Aliases: [{ AliasName: aliasOf(service), AliasArn: aliasArn(aliasOf(service)), TargetKeyId: keyId }],
    })
    const lent = { KeyId: keyArn, GranteePrincipal: user.arn, Operations: ['Decrypt' as const] }
    const { GrantId } = await service.client({ for: whom }).createGrant(lent)
    expect(await kms.listGrants({ KeyId: keyId })).toMatchObject({ Grants: [{ GrantId }] })
    await kms.revokeGrant({ KeyId: keyId, GrantId: GrantId! })
  })

  test('is managed by nobody, through the service neither', async () => {
    const { service, keyId: KeyId, keyArn, whom } = await makeServiceKey()
    const Policy = JSON.stringify({
      Version: '2012-10-17',
      Statement: [{ Effect: 'Allow', Principal: '*', Action: 'kms:*', Resource: '*' }],
    })
    const spare = await makeKey()
    const alias = await makeAlias(spare)
    const managing: Record<string, (client: KMS) => Promise<unknown>> = {
      PutKeyPolicy: client => client.putKeyPolicy({ KeyId, Policy, BypassPolicyLockoutSafetyCheck: true }),
      DisableKey: client => client.disableKey({ KeyId }),
      EnableKey: client => client.enableKey({ KeyId }),
      ScheduleKeyDeletion: client => client.scheduleKeyDeletion({ KeyId }),
      CancelKeyDeletion: client => client.cancelKeyDeletion({ KeyId }),
      EnableKeyRotation: client => client.enableKeyRotation({ KeyId, RotationPeriodInDays: 90 }),
      DisableKeyRotation: client => client.disableKeyRotation({ KeyId }),
      RotateKeyOnDemand: client => client.rotateKeyOnDemand({ KeyId }),
      TagResource: client => client.tagResource({ KeyId, Tags: [{ TagKey: 'a', TagValue: 'b' }] }),
      UntagResource: client => client.untagResource({ KeyId, TagKeys: ['a'] }),
      UpdateKeyDescription: client => client.updateKeyDescription({ KeyId, Description: 'mine' }),
      CreateAlias: client => client.createAlias({ AliasName: `${alias}2`, TargetKeyId: KeyId }),
      UpdateAlias: client => client.updateAlias({ AliasName: alias, TargetKeyId: KeyId }),
      DeleteAlias: client => client.deleteAlias({ AliasName: aliasOf(service) }),
    }
    const able = await makeUser(FULL)
    const through = service.client({ for: await credentialsOf({ account: accountId, name: able.name }) })
    for (const [operation, call] of Object.entries(managing))
      for (const client of [kms, through])
        expect(await refusal(call(client))).toMatch(
          new RegExp(`^AccessDeniedException: User: .* is not authorized to perform: kms:${operation} `),
        )
    expect(await refusal(kms.updateAlias({ AliasName: aliasOf(service), TargetKeyId: spare.id }))).toMatch(
      /^AccessDenied/,
    )
    expect(await refusal(kms.createAlias({ AliasName: `${aliasOf(service)}/own`, TargetKeyId: spare.id }))).toBe(
      'InvalidAliasNameException: Alias names that begin with alias/aws/ are reserved.',
    )
    await generate(service.client({ for: whom }), service)
    expect(await keysNamed(aliasOf(service))).toEqual([keyArn.split('/')[1]])
  })
})
