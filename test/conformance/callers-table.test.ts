/**
 * Every operation with every kind of caller. What each may do stands in authz.md sections 3 and 7, whether an operation
 * reaches across accounts in kms-api.md section 6, column X. An operation without a row fails here.
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import { expect, test } from '@jest/globals'
import { registry } from '../../src/operations/registry.ts'
import { importMaterial, wrapMaterial } from '../support/import.ts'
import { policyOf } from './callers.ts'
import { type Actor, admin, makeOutsider, makeService, makeSession, makeSubject, nobody } from './cast.ts'
import { EXTERNAL } from './imports.ts'
import { P256_SIGNER } from './key-pairs.ts'
import {
  accountId,
  encrypt,
  type Key,
  type Kind,
  kms,
  makeAlias,
  newAliasName,
  OTHER_ACCOUNT,
  OTHER_REGION,
  putInState,
  text,
} from './kms.ts'

interface Row {
  /**
   * What is decided upon, and so who decides: a `key` its policy, with the identity policies that it leaves it to; the
   * caller's `account` identity policies alone; an `alias` both, and so the key that is made of another.
   */
  readonly on: 'key' | 'account' | 'alias' | 'key and account'
  /** kms-api.md, column X. */
  readonly acrossAccounts?: true
  /** The operation's own name when absent. */
  readonly permissions?: readonly string[]
  readonly kind?: Kind
  /** Every caller gets a key of its own, because the operation changes what the next one would find. */
  readonly fresh?: true
  readonly input: (key: Key, caller: Actor) => object | Promise<object>
  /** How callers of other accounts are refused, if not by AccessDenied. */
  readonly elsewhere?: string
  /** What is answered to whoever is let in, where no token of the sandbox can make a key of the right kind. */
  readonly allowed?: string
}

const DENIED = 'AccessDeniedException'
const MAC = { KeySpec: 'HMAC_256', KeyUsage: 'GENERATE_VERIFY_MAC' } as const
const AGREEMENT = { KeySpec: 'ECC_NIST_P256', KeyUsage: 'KEY_AGREEMENT' } as const
const base64 = (bytes: Uint8Array | undefined) => Buffer.from(bytes!).toString('base64')
const MESSAGE = base64(text('attack at dawn'))
const ECDSA = { Message: MESSAGE, SigningAlgorithm: 'ECDSA_SHA_256' } as const
const HMAC = { Message: MESSAGE, MacAlgorithm: 'HMAC_SHA_256' } as const
const WRAPPING = { WrappingAlgorithm: 'RSAES_OAEP_SHA_1', WrappingKeySpec: 'RSA_2048' } as const
const PEER = base64(
  generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ type: 'spki', format: 'der' }),
)

const named = ({ arn }: Key) => ({ KeyId: arn })
const key: Row = { on: 'key', input: named }
const used: Row = { ...key, acrossAccounts: true }
const account: Row = { on: 'account', input: () => ({}) }
const misused: Row = { ...used, allowed: 'InvalidKeyUsageException' }
const imported: Row = { ...key, kind: EXTERNAL }
const dataKey: Row = { ...used, input: ({ arn }) => ({ KeyId: arn, KeySpec: 'AES_256' }) }
const dataKeyPair: Row = { ...used, input: ({ arn }) => ({ KeyId: arn, KeyPairSpec: 'ECC_NIST_P256' }) }

const rows: Record<string, Row> = {
  CancelKeyDeletion: {
    ...{ ...key, fresh: true },
    async input(held) {
      await putInState(held, 'PendingDeletion')
      return named(held)
    },
  },
  CreateAlias: { on: 'alias', input: ({ arn }) => ({ AliasName: newAliasName(), TargetKeyId: arn }) },
  CreateGrant: {
    ...used,
    input: ({ arn }) => ({ KeyId: arn, GranteePrincipal: admin.arn, Operations: ['Encrypt'] }),
  },
  CreateKey: {
    ...account,
    permissions: ['kms:CreateKey', 'kms:TagResource'],
    input: () => ({ Tags: [{ TagKey: 'team', TagValue: 'night' }] }),
  },
  Decapsulate: {
    ...misused,
    input: ({ arn }) => ({ KeyId: arn, EncapsulationAlgorithm: 'ML_KEM', SharedSecretCiphertextBlob: MESSAGE }),
  },
  Decrypt: {
    ...used,
    input: async held => ({ KeyId: held.arn, CiphertextBlob: base64(await encrypt(held)) }),
  },
  DeleteAlias: {
    ...{ on: 'alias', elsewhere: 'NotFoundException' },
    input: async held => ({ AliasName: await makeAlias(held) }),
  },
  DeleteImportedKeyMaterial: {
    ...{ ...imported, fresh: true },
    async input({ id, arn }) {
      await importMaterial(kms, id, randomBytes(32))
      return { KeyId: arn }
    },
  },
  DeriveSharedSecret: {
    ...{ ...used, kind: AGREEMENT },
    input: ({ arn }) => ({ KeyId: arn, KeyAgreementAlgorithm: 'ECDH', PublicKey: PEER }),
  },
  DescribeKey: used,
  DisableKey: { ...key, fresh: true },
  DisableKeyRotation: key,
  EnableKey: key,
  EnableKeyRotation: key,
  Encapsulate: { ...misused, input: ({ arn }) => ({ KeyId: arn, EncapsulationAlgorithm: 'ML_KEM' }) },
  Encrypt: { ...used, input: ({ arn }) => ({ KeyId: arn, Plaintext: MESSAGE }) },
  GenerateDataKey: dataKey,
  GenerateDataKeyPair: dataKeyPair,
  GenerateDataKeyPairWithoutPlaintext: dataKeyPair,
  GenerateDataKeyWithoutPlaintext: dataKey,
  GenerateMac: { ...used, kind: MAC, input: ({ arn }) => ({ KeyId: arn, ...HMAC }) },
  GenerateRandom: { ...account, input: () => ({ NumberOfBytes: 8 }) },
  GetKeyLastUsage: key,
  GetKeyPolicy: key,
  GetKeyRotationStatus: used,
  GetParametersForImport: { ...imported, input: ({ arn }) => ({ KeyId: arn, ...WRAPPING }) },
  GetPublicKey: { ...used, kind: P256_SIGNER },
  ImportKeyMaterial: {
    ...{ ...imported, fresh: true },
    async input({ id, arn }) {
      const { ImportToken, PublicKey } = await kms.getParametersForImport({ KeyId: id, ...WRAPPING })
      const material = wrapMaterial(WRAPPING.WrappingAlgorithm, PublicKey!, randomBytes(32))
      return {
        ...{ KeyId: arn, ImportToken: base64(ImportToken), EncryptedKeyMaterial: base64(material) },
        ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE',
      }
    },
  },
  ListAliases: account,
  ListGrants: used,
  ListKeyPolicies: key,
  ListKeyRotations: key,
  ListKeys: account,
  ListResourceTags: key,
  ListRetirableGrants: { ...account, input: (_, { arn }) => ({ RetiringPrincipal: arn }) },
  PutKeyPolicy: { ...key, input: ({ arn }, caller) => ({ KeyId: arn, Policy: policyFor(caller) }) },
  ReEncrypt: {
    ...used,
    permissions: ['kms:ReEncryptFrom', 'kms:ReEncryptTo'],
    input: async held => ({
      ...{ SourceKeyId: held.arn, DestinationKeyId: held.arn },
      CiphertextBlob: base64(await encrypt(held)),
    }),
  },
  ReplicateKey: {
    ...{ on: 'key and account', kind: { MultiRegion: true }, fresh: true },
    permissions: ['kms:ReplicateKey', 'kms:CreateKey', 'kms:TagResource'],
    input: ({ arn }) => ({ KeyId: arn, ReplicaRegion: OTHER_REGION, Tags: [{ TagKey: 'team', TagValue: 'night' }] }),
  },
  // No policy lets anybody in: the grant does, so the callers that are let in are the ones who may retire it.
  RetireGrant: {
    ...used,
    async input(held, { arn, kind, letIn }) {
      const retiring = kind === 'service' ? { RetiringServicePrincipal: arn } : { RetiringPrincipal: arn }
      return { KeyId: held.arn, GrantId: await grant(held, letIn ? retiring : {}) }
    },
  },
  RevokeGrant: { ...used, input: async held => ({ KeyId: held.arn, GrantId: await grant(held) }) },
  RotateKeyOnDemand: { ...key, fresh: true },
  ScheduleKeyDeletion: { ...key, fresh: true },
  Sign: { ...used, kind: P256_SIGNER, input: ({ arn }) => ({ KeyId: arn, ...ECDSA }) },
  TagResource: { ...key, input: ({ arn }) => ({ KeyId: arn, Tags: [{ TagKey: 'team', TagValue: 'day' }] }) },
  UntagResource: { ...key, input: ({ arn }) => ({ KeyId: arn, TagKeys: ['team'] }) },
  UpdateAlias: {
    ...{ on: 'alias', elsewhere: 'NotFoundException' },
    input: async held => ({ AliasName: await makeAlias(held), TargetKeyId: held.arn }),
  },
  UpdateKeyDescription: { ...key, input: ({ arn }) => ({ KeyId: arn, Description: 'seen' }) },
  UpdatePrimaryRegion: {
    ...{ ...key, kind: { MultiRegion: true }, fresh: true },
    async input({ arn }, caller) {
      await kms.replicateKey({ KeyId: arn, ReplicaRegion: OTHER_REGION, Policy: policyFor(caller) })
      return { KeyId: arn, PrimaryRegion: OTHER_REGION }
    },
  },
  Verify: {
    ...{ ...used, kind: P256_SIGNER },
    async input({ arn }) {
      const { Signature } = await kms.sign({ KeyId: arn, ...ECDSA, Message: text('attack at dawn') })
      return { KeyId: arn, ...ECDSA, Signature: base64(Signature) }
    },
  },
  VerifyMac: {
    ...{ ...used, kind: MAC },
    async input({ arn }) {
      const { Mac } = await kms.generateMac({ KeyId: arn, ...HMAC, Message: text('attack at dawn') })
      return { KeyId: arn, ...HMAC, Mac: base64(Mac) }
    },
  },
}

async function grant({ arn }: Key, retiring: object = {}): Promise<string> {
  const { GrantId } = await kms.createGrant({
    ...{ KeyId: arn, GranteePrincipal: admin.arn, Operations: ['Encrypt'] },
    ...retiring,
  })
  return GrantId!
}

/** The default key policy, and a statement for a caller who is to be let in. */
function policyFor({ arn, kind, letIn }: Actor): string {
  const everything = { Effect: 'Allow', Action: 'kms:*', Resource: '*' }
  const toAccount = { ...everything, Principal: { AWS: `arn:aws:iam::${accountId}:root` } }
  const toCaller = { ...everything, Principal: { [kind === 'service' ? 'Service' : 'AWS']: arn } }
  return letIn ? policyOf(toAccount, toCaller) : policyOf(toAccount)
}

const keys = new Map<string, Key>()

/** A key of the row's kind, whose policy is the caller's: a standing one as long as the row leaves it as it is. */
async function keyFor({ kind = {}, fresh }: Row, caller: Actor): Promise<Key> {
  const Policy = policyFor(caller)
  const name = JSON.stringify([kind, Policy])
  const standing = fresh === true ? undefined : keys.get(name)
  if (standing !== undefined) return standing
  const { KeyMetadata } = await kms.createKey({ ...kind, Policy })
  const made = { id: KeyMetadata!.KeyId!, arn: KeyMetadata!.Arn! }
  if (fresh !== true) keys.set(name, made)
  return made
}

const subject = await makeSubject()
const session = await makeSession()
const limitedSession = await makeSession(policyOf({ Effect: 'Allow', Action: 'sts:*', Resource: '*' }))
const outsider = await makeOutsider(OTHER_ACCOUNT, false)
const guest = await makeOutsider(OTHER_ACCOUNT, true)
const service = await makeService(false)
const lentService = await makeService(true)

/** `ok`, or the code of the refusal. */
async function outcomeOf(operation: string, row: Row, caller: Actor): Promise<string> {
  const input = await row.input(await keyFor(row, caller), caller)
  const { status, text: body } = await caller.call(operation, input)
  if (status === 200) return 'ok'
  const { __type, Message } = JSON.parse(body)
  // Who is refused is told which permission it lacks, and in whose name it asked.
  if (__type === DENIED) expect(Message).toContain(`User: ${caller.arn} is not authorized to perform: kms:`)
  return __type
}

test('every operation that is served has a row', () => {
  expect(Object.keys(rows).sort()).toEqual([...registry.keys()].sort())
})

test.each(Object.entries(rows))('%s', async (operation, row) => {
  const { permissions = [`kms:${operation}`], on, acrossAccounts, elsewhere = DENIED, allowed = 'ok' } = row
  const outcome = (caller: Actor) => outcomeOf(operation, row, caller)
  const seen: Record<string, string> = {
    admin: await outcome(admin),
    'session of a role': await outcome(session),
    'session limited to something else': await outcome(limitedSession),
    'user of another account': await outcome(outsider),
    'user of another account, let in': await outcome(guest),
    service: await outcome(service),
    'service, let in': await outcome(lentService),
    nobody: await outcome(nobody),
  }
  await subject.mayOnly({ Action: permissions })
  seen['user with just the permission'] = await outcome(subject)
  for (const permission of permissions) {
    await subject.mayOnly({ NotAction: permission })
    seen[`user with every permission but ${permission}`] = await outcome(subject)
  }
  expect(seen).toEqual({
    admin: allowed,
    'session of a role': allowed,
    'session limited to something else': DENIED,
    'user of another account': on === 'account' ? allowed : elsewhere,
    'user of another account, let in': on === 'account' || acrossAccounts ? allowed : elsewhere,
    service: DENIED,
    'service, let in': on === 'key' ? allowed : DENIED,
    nobody: 'MissingAuthenticationTokenException',
    'user with just the permission': allowed,
    ...Object.fromEntries(permissions.map(permission => [`user with every permission but ${permission}`, DENIED])),
  })
})
