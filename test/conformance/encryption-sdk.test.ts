/** The AWS Encryption SDK: envelope encryption by code that nobody here wrote, with a data key of ours. */
import { createHash, randomBytes } from 'node:crypto'
import { createReadStream, createWriteStream, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pipeline } from 'node:stream/promises'
import {
  buildClient,
  CommitmentPolicy,
  getLocalCryptographicMaterialsCache,
  KmsKeyringNode,
  type KmsNodeClientSupplier,
  NodeCachingMaterialsManager,
} from '@aws-crypto/client-node'
import { afterAll, describe, expect, test } from '@jest/globals'
import { readMetrics, sumOf } from '../support/metrics.ts'
import { aliasArn, kms, makeAlias, makeKey, sandbox } from './kms.ts'

const { encrypt, decrypt, encryptStream, decryptStream } = buildClient(CommitmentPolicy.REQUIRE_ENCRYPT_REQUIRE_DECRYPT)
const clientProvider = (() => kms) as unknown as KmsNodeClientSupplier
const context = { purpose: 'conformance', tenant: '42' }

const folder = mkdtempSync(join(tmpdir(), 'strongroom-esdk-'))
afterAll(() => rmSync(folder, { recursive: true }))

async function makeKeyring(): Promise<{ keyring: KmsKeyringNode; arn: string }> {
  const { arn } = await makeKey()
  return { arn, keyring: new KmsKeyringNode({ generatorKeyId: arn, clientProvider }) }
}

const digestOf = (path: string) => createHash('sha256').update(readFileSync(path)).digest('hex')

/** Successful calls of an operation so far. */
async function callsOf(operation: string): Promise<number> {
  return sumOf(
    await readMetrics(sandbox.adminEndpoint),
    `strongroom_requests_total{operation="${operation}",outcome="ok"`,
  )
}

describe('the AWS Encryption SDK', () => {
  test('encrypts a file of 3 MiB by stream and decrypts it again', async () => {
    const { keyring } = await makeKeyring()
    const [plain, encrypted, decrypted] = ['plain', 'encrypted', 'decrypted'].map(name => join(folder, name)) as [
      string,
      string,
      string,
    ]
    writeFileSync(plain, randomBytes(3 * 1024 * 1024 + 1))
    await pipeline(
      createReadStream(plain),
      encryptStream(keyring, { encryptionContext: context }),
      createWriteStream(encrypted),
    )
    expect(digestOf(encrypted)).not.toBe(digestOf(plain))
    await pipeline(createReadStream(encrypted), decryptStream(keyring), createWriteStream(decrypted))
    expect(digestOf(decrypted)).toBe(digestOf(plain))
  })

  test('returns the encryption context that a message was made with', async () => {
    const { keyring } = await makeKeyring()
    const { result } = await encrypt(keyring, 'attack at dawn', { encryptionContext: context })
    const { plaintext, messageHeader } = await decrypt(keyring, result)
    expect(plaintext.toString()).toBe('attack at dawn')
    expect(messageHeader.encryptionContext).toMatchObject(context)
  })

  test('works with an alias, and with any one of two keys', async () => {
    const [first, second] = [await makeKey(), await makeKey()]
    const generatorKeyId = aliasArn(await makeAlias(first))
    const both = new KmsKeyringNode({ generatorKeyId, keyIds: [second.arn], clientProvider })
    const { result } = await encrypt(both, 'attack at dawn')
    await kms.disableKey({ KeyId: first.id })
    const onlySecond = new KmsKeyringNode({ keyIds: [second.arn], clientProvider })
    expect((await decrypt(onlySecond, result)).plaintext.toString()).toBe('attack at dawn')
    await kms.disableKey({ KeyId: second.id })
    await expect(decrypt(onlySecond, result)).rejects.toThrow(`${second.arn} is disabled.`)
  })

  test('makes fewer calls than messages when it caches data keys', async () => {
    const { keyring } = await makeKeyring()
    const materials = new NodeCachingMaterialsManager({
      backingMaterials: keyring,
      cache: getLocalCryptographicMaterialsCache(100),
      maxAge: 60_000,
      maxMessagesEncrypted: 4,
    })
    const [generated, opened] = [await callsOf('GenerateDataKey'), await callsOf('Decrypt')]
    const messages: Buffer[] = []
    for (let at = 0; at < 12; at++) {
      const { result } = await encrypt(materials, `message ${at}`, { encryptionContext: context, plaintextLength: 20 })
      messages.push(result)
    }
    for (const [at, message] of messages.entries()) {
      expect((await decrypt(materials, message)).plaintext.toString()).toBe(`message ${at}`)
    }
    expect(await callsOf('GenerateDataKey')).toBe(generated + 3)
    expect(await callsOf('Decrypt')).toBe(opened + 3)
  })

  // In a message's header, the context and the encrypted data key stand as they were given.
  test.each([
    ['another encryption context', (message: Buffer) => message.indexOf('conformance')],
    [
      'an encrypted data key that was tampered with',
      (message: Buffer) => message.indexOf('SRC\x01', 0, 'latin1') + 100,
    ],
  ])('is refused %s', async (_, placeOf) => {
    const { keyring } = await makeKeyring()
    const { result } = await encrypt(keyring, 'attack at dawn', { encryptionContext: context })
    const at = placeOf(result)
    expect(at).toBeGreaterThan(99)
    const tampered = Buffer.from(result)
    tampered[at]! ^= 1
    await expect(decrypt(keyring, tampered)).rejects.toThrow('InvalidCiphertextException')
    expect((await decrypt(keyring, result)).plaintext.toString()).toBe('attack at dawn')
  })
})
