/** Debian's AWS CLI and boto3, years older than the service: the daily work with keys, as an operator and a program do it. */
import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from '@jest/globals'
import { awsEnvironment, run, runAwsCli } from '../support/sandbox.ts'
import { accountId, aliasArn, newAliasName, region, sandbox } from './kms.ts'

const folder = mkdtempSync(join(tmpdir(), 'strongroom-cli-'))
afterAll(() => rmSync(folder, { recursive: true }))

/** `aws kms …`, which must succeed; what it prints. */
async function aws(...args: string[]) {
  const { code, stdout, stderr } = await runAwsCli(sandbox, ['kms', ...args])
  if (code !== 0) throw new Error(stderr)
  return stdout === '' ? undefined : JSON.parse(stdout)
}

/** What it says of a call that must fail. */
async function awsRefusal(...args: string[]): Promise<string> {
  const { code, stderr } = await runAwsCli(sandbox, ['kms', ...args])
  expect(code).toBe(254)
  return stderr.trim()
}

describe('the AWS CLI', () => {
  test('makes a key, names it, encrypts a file and decrypts it again', async () => {
    const alias = newAliasName()
    const secret = randomBytes(4_096)
    const [file, encrypted] = [join(folder, 'secret'), join(folder, 'secret.encrypted')]
    writeFileSync(file, secret)

    const { KeyMetadata } = await aws('create-key', '--description', 'orders', '--tags', 'TagKey=team,TagValue=billing')
    expect(KeyMetadata).toMatchObject({ Description: 'orders', KeyState: 'Enabled', AWSAccountId: accountId })
    await aws('create-alias', '--alias-name', alias, '--target-key-id', KeyMetadata.KeyId)

    const context = ['--encryption-context', 'tenant=42,purpose=orders']
    const { CiphertextBlob, KeyId } = await aws(
      'encrypt',
      '--key-id',
      alias,
      '--plaintext',
      `fileb://${file}`,
      ...context,
    )
    expect(KeyId).toBe(KeyMetadata.Arn)
    writeFileSync(encrypted, Buffer.from(CiphertextBlob, 'base64'))
    const blob = ['--ciphertext-blob', `fileb://${encrypted}`]
    const { Plaintext } = await aws('decrypt', ...blob, '--encryption-context', 'purpose=orders,tenant=42')
    expect(Buffer.from(Plaintext, 'base64')).toEqual(secret)

    expect(await awsRefusal('decrypt', ...blob)).toBe(
      'An error occurred (InvalidCiphertextException) when calling the Decrypt operation:',
    )
    const reEncrypted = await aws(
      're-encrypt',
      ...blob,
      '--source-encryption-context',
      'tenant=42,purpose=orders',
      '--destination-key-id',
      aliasArn(alias),
    )
    expect(reEncrypted).toMatchObject({ SourceKeyId: KeyMetadata.Arn, KeyId: KeyMetadata.Arn })
  })

  test('gets a data key that Decrypt opens', async () => {
    const { KeyMetadata } = await aws('create-key')
    const { Plaintext, CiphertextBlob } = await aws(
      'generate-data-key',
      '--key-id',
      KeyMetadata.Arn,
      '--key-spec',
      'AES_256',
    )
    expect(Buffer.from(Plaintext, 'base64')).toHaveLength(32)
    const file = join(folder, 'data-key')
    writeFileSync(file, Buffer.from(CiphertextBlob, 'base64'))
    expect((await aws('decrypt', '--ciphertext-blob', `fileb://${file}`)).Plaintext).toBe(Plaintext)
  })

  test('manages keys', async () => {
    const { KeyMetadata } = await aws('create-key', '--key-spec', 'SYMMETRIC_DEFAULT', '--key-usage', 'ENCRYPT_DECRYPT')
    const key = ['--key-id', KeyMetadata.KeyId]
    expect((await aws('describe-key', ...key)).KeyMetadata).toEqual(KeyMetadata)
    const { Keys } = await aws('list-keys')
    expect(Keys).toContainEqual({ KeyId: KeyMetadata.KeyId, KeyArn: KeyMetadata.Arn })

    await aws('tag-resource', ...key, '--tags', 'TagKey=a,TagValue=1', 'TagKey=b,TagValue=2')
    await aws('untag-resource', ...key, '--tag-keys', 'a')
    expect((await aws('list-resource-tags', ...key)).Tags).toEqual([{ TagKey: 'b', TagValue: '2' }])

    expect(await aws('schedule-key-deletion', ...key, '--pending-window-in-days', '7')).toMatchObject({
      KeyId: KeyMetadata.Arn,
      KeyState: 'PendingDeletion',
      PendingWindowInDays: 7,
    })
    expect(await awsRefusal('enable-key', ...key)).toBe(
      `An error occurred (KMSInvalidStateException) when calling the EnableKey operation: ${KeyMetadata.Arn} is pending deletion.`,
    )
    expect(await aws('cancel-key-deletion', ...key)).toEqual({ KeyId: KeyMetadata.Arn })
    await aws('enable-key', ...key)
    expect((await aws('describe-key', ...key)).KeyMetadata.KeyState).toBe('Enabled')
  })

  test('reads a list to its end by itself', async () => {
    const { KeyMetadata } = await aws('create-key')
    const key = ['--key-id', KeyMetadata.KeyId]
    const tags = Array.from({ length: 5 }, (_, at) => `TagKey=${at},TagValue=v`)
    await aws('tag-resource', ...key, '--tags', ...tags)
    const { Keys } = await aws('list-keys', '--page-size', '2')
    expect(Keys.map(({ KeyId }: { KeyId: string }) => KeyId)).toContain(KeyMetadata.KeyId)
    expect((await aws('list-resource-tags', ...key, '--page-size', '2')).Tags).toHaveLength(5)
  })
})

const SESSION = `
import json, sys, boto3
from botocore.exceptions import ClientError
kms = boto3.client('kms', endpoint_url=sys.argv[1])
alias = sys.argv[2]
key = kms.create_key(Tags=[{'TagKey': 'team', 'TagValue': 'billing'}])['KeyMetadata']
kms.create_alias(AliasName=alias, TargetKeyId=key['KeyId'])
context = {'tenant': '42', 'ключ': '🔑'}
data_key = kms.generate_data_key(KeyId=alias, KeySpec='AES_256', EncryptionContext=context)
blob = data_key['CiphertextBlob']
opened = kms.decrypt(CiphertextBlob=blob, EncryptionContext=context)
moved = kms.re_encrypt(CiphertextBlob=blob, SourceEncryptionContext=context, DestinationKeyId=alias)
again = kms.decrypt(CiphertextBlob=moved['CiphertextBlob'])
sealed = kms.encrypt(KeyId=key['Arn'], Plaintext=b'orders')['CiphertextBlob']
try:
    kms.decrypt(CiphertextBlob=blob)
except kms.exceptions.InvalidCiphertextException as error:
    refused = error.response['Error']
scheduled = kms.schedule_key_deletion(KeyId=key['KeyId'], PendingWindowInDays=7)
try:
    kms.encrypt(KeyId=alias, Plaintext=b'orders')
except ClientError as error:
    state = error.response['Error']
print(json.dumps({
    'region': kms.meta.region_name,
    'arn': key['Arn'],
    'same': data_key['Plaintext'] == opened['Plaintext'] == again['Plaintext'],
    'length': len(data_key['Plaintext']),
    'refused': refused,
    'state': state,
    'days': round((scheduled['DeletionDate'] - key['CreationDate']).total_seconds() / 86400),
    'random': len(kms.generate_random(NumberOfBytes=16)['Plaintext']),
    'tags': kms.list_resource_tags(KeyId=key['KeyId'])['Tags'],
    'listed': key['KeyId'] in [k['KeyId'] for page in kms.get_paginator('list_keys').paginate(PaginationConfig={'PageSize': 3}) for k in page['Keys']],
}))
`

test('boto3 makes the same calls', async () => {
  const alias = newAliasName()
  const args = ['-c', SESSION, sandbox.endpoint, alias]
  const { code, stdout, stderr } = await run('/usr/bin/python3', args, awsEnvironment(sandbox))
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  const { arn, ...said } = JSON.parse(stdout)
  expect(said).toEqual({
    region,
    same: true,
    length: 32,
    refused: { Code: 'InvalidCiphertextException', Message: '' },
    state: { Code: 'KMSInvalidStateException', Message: `${arn} is pending deletion.` },
    days: 7,
    random: 16,
    tags: [{ TagKey: 'team', TagValue: 'billing' }],
    listed: true,
  })
})
