/** A key of the table of answers: brought into each of its states, with input for every row. */
import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { type GetParametersForImportResponse, type KeyState, KMS } from '@aws-sdk/client-kms'
import { afterAll } from '@jest/globals'
import { algorithmsOf, type KeySpec, type KeyUsage, specFacts } from '../../src/model/key-specs.ts'
import { pkcs8, wrapMaterial } from '../support/import.ts'
import { connectionOf } from '../support/sandbox.ts'
import type { Column } from './key-table.ts'
import {
  callerArn,
  type Key,
  type Kind,
  makeAlias as makeAliasOf,
  makeKey,
  newAliasName,
  OTHER_REGION,
  region,
  sandbox,
  text,
} from './kms.ts'

const ATTEMPTS = 5

type Input = Record<string, unknown>

/** On a busy machine a token may be late once in thousands of calls: this client tries again, as SDKs do by themselves. */
export const kms = new KMS({ ...connectionOf(sandbox), maxAttempts: ATTEMPTS })
const elsewhere = new KMS({ ...connectionOf(sandbox), region: OTHER_REGION, maxAttempts: ATTEMPTS })
afterAll(() => {
  kms.destroy()
  elsewhere.destroy()
})

const makeAlias = (key: Key) => makeAliasOf(key, kms)

const MESSAGE = text('attack at dawn')
const TAG = { TagKey: 'team', TagValue: 'night' }
const FOREVER = { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' } as const
const CURVES: Readonly<Partial<Record<KeySpec, string>>> = {
  ECC_NIST_P256: 'prime256v1',
  ECC_NIST_P384: 'secp384r1',
  ECC_NIST_P521: 'secp521r1',
  ECC_SECG_P256K1: 'secp256k1',
}

/** What ScheduleKeyDeletion leads to. */
const PENDING: ReadonlySet<string> = new Set(['PendingDeletion', 'PendingReplicaDeletion'])
/** From any state to any other. */
const STEPS_MAX = 4

/** Rows that may leave the key in another state than they found it in, or without its material. */
const MOVES: ReadonlySet<string> = new Set([
  'EnableKey',
  'DisableKey',
  'ScheduleKeyDeletion',
  'CancelKeyDeletion',
  'ImportKeyMaterial',
  'DeleteImportedKeyMaterial',
])

export class Subject {
  readonly key: Key
  readonly #spec: KeySpec
  readonly #column: Column
  #material: Buffer | undefined
  #parameters: GetParametersForImportResponse | undefined
  #ciphertext: Uint8Array | undefined
  #signature: Uint8Array = randomBytes(64)
  #mac: Uint8Array = randomBytes(64)
  readonly #grants: string[] = []
  readonly #aliases: string[] = []

  /** An enabled key that has been used, with grants and aliases for `rounds` rounds of all rows. */
  static async make(spec: KeySpec, column: Column, rounds: number): Promise<Subject> {
    const { usage, origin, multiRegion: MultiRegion } = column
    const key = await makeKey(kms, { KeySpec: spec, KeyUsage: usage, Origin: origin, MultiRegion })
    const subject = new Subject(key, spec, column)
    await subject.enter('Enabled')
    if (MultiRegion === true) await kms.replicateKey({ KeyId: key.id, ReplicaRegion: OTHER_REGION })
    await subject.#use()
    for (let round = 0; round < rounds; round++) await subject.#lend()
    return subject
  }

  private constructor(key: Key, spec: KeySpec, column: Column) {
    this.key = key
    this.#spec = spec
    this.#column = column
  }

  /** Brings the key from the state that it is in to another one. */
  async enter(wanted: KeyState): Promise<void> {
    const KeyId = this.key.id
    const withMaterial = async () => kms.importKeyMaterial({ KeyId, ...(await this.#import()), ...FOREVER })
    for (let step = 0; step <= STEPS_MAX; step++) {
      const state = (await kms.describeKey({ KeyId })).KeyMetadata!.KeyState!
      if (state === wanted) return
      if (PENDING.has(state)) await kms.cancelKeyDeletion({ KeyId })
      else if (PENDING.has(wanted)) await kms.scheduleKeyDeletion({ KeyId })
      else if (state === 'PendingImport') await withMaterial()
      else if (wanted === 'PendingImport') {
        // A key whose deletion was cancelled is disabled, with its material or without.
        await withMaterial()
        await kms.deleteImportedKeyMaterial({ KeyId })
      } else if (wanted === 'Disabled') await kms.disableKey({ KeyId })
      else await kms.enableKey({ KeyId })
    }
    throw new Error(`the key does not come to be ${wanted}`)
  }

  /** Undoes what a row has changed, as far as the next one would notice. */
  async settle(row: string, input: Input, state: KeyState, answered: boolean): Promise<void> {
    if (MOVES.has(row)) await this.enter(state)
    if (row === 'UpdatePrimaryRegion' && answered)
      await elsewhere.updatePrimaryRegion({ KeyId: this.id, PrimaryRegion: region })
    if (row.startsWith('UpdateAlias')) await kms.deleteAlias({ AliasName: String(input.AliasName) })
  }

  /** Input that lacks nothing, so that what is refused is refused for the key's sake. */
  async inputFor(row: string): Promise<Input> {
    const inputOf = INPUTS[row]
    if (inputOf === undefined) throw new Error(`there is no input for ${row}`)
    return inputOf(this)
  }

  get id(): string {
    return this.key.id
  }

  /** The spec's first algorithm of a usage, or any of that usage when it has none. */
  algorithm(usage: KeyUsage, other: string): string {
    return algorithmsOf(this.#spec, usage)[0] ?? other
  }

  signing(): Input {
    return { KeyId: this.id, Message: MESSAGE, SigningAlgorithm: this.algorithm('SIGN_VERIFY', 'ECDSA_SHA_256') }
  }

  mac(): Input {
    return {
      ...{ KeyId: this.id, Message: MESSAGE },
      MacAlgorithm: this.algorithm('GENERATE_VERIFY_MAC', 'HMAC_SHA_256'),
    }
  }

  /** What the key itself made, or something that looks like it. */
  made(): { signature: Uint8Array; mac: Uint8Array } {
    return { signature: this.#signature, mac: this.#mac }
  }

  /** The key's own, or another's: it must be a ciphertext, for that is looked at first. */
  async ciphertext(): Promise<Uint8Array> {
    return this.#ciphertext ?? (await standingCiphertext())
  }

  /** A public key of somebody else on the key's curve, or on some curve. */
  peer(): Uint8Array {
    return pairOf(CURVES[this.#spec] ?? 'prime256v1').publicKey.export({ type: 'spki', format: 'der' })
  }

  takeGrant(): string {
    return taken(this.#grants)
  }

  takeAlias(): string {
    return taken(this.#aliases)
  }

  /** A key of the same kind, which stays as it is. */
  sibling(): Promise<Key> {
    return standing({ KeySpec: SIBLINGS[this.#spec] ?? this.#spec, KeyUsage: this.#column.usage })
  }

  wrapping(): Input {
    const WrappingAlgorithm =
      specFacts(this.#spec).class === 'asymmetric' ? 'RSA_AES_KEY_WRAP_SHA_1' : 'RSAES_OAEP_SHA_1'
    return { KeyId: this.id, WrappingAlgorithm, WrappingKeySpec: 'RSA_2048' }
  }

  /** Token and wrapped bytes of the key's one material; of nothing for a key that takes none. */
  async importing(): Promise<Input> {
    const held = this.#column.origin === 'EXTERNAL' ? await this.#import() : undefined
    return { KeyId: this.id, ImportToken: text('x'), EncryptedKeyMaterial: text('x'), ...held, ...FOREVER }
  }

  async #import() {
    this.#material ??= materialOf(this.#spec)
    const wrapping = this.wrapping() as { WrappingAlgorithm: 'RSAES_OAEP_SHA_1'; WrappingKeySpec: 'RSA_2048' }
    this.#parameters ??= await kms.getParametersForImport({ KeyId: this.id, ...wrapping })
    const { ImportToken, PublicKey } = this.#parameters
    const EncryptedKeyMaterial = wrapMaterial(wrapping.WrappingAlgorithm, PublicKey!, this.#material)
    return { ImportToken: ImportToken!, EncryptedKeyMaterial }
  }

  async #use(): Promise<void> {
    const { usage } = this.#column
    if (usage === 'ENCRYPT_DECRYPT') {
      this.#ciphertext = (await kms.encrypt(INPUTS.Encrypt!(this) as never)).CiphertextBlob!
    } else if (usage === 'SIGN_VERIFY') {
      this.#signature = (await kms.sign(this.signing() as never)).Signature!
    } else if (usage === 'GENERATE_VERIFY_MAC') {
      this.#mac = (await kms.generateMac(this.mac() as never)).Mac!
    }
  }

  async #lend(): Promise<void> {
    for (let count = 0; count < 2; count++) {
      const grant = { KeyId: this.id, GranteePrincipal: callerArn, RetiringPrincipal: callerArn }
      this.#grants.push((await kms.createGrant({ ...grant, Operations: ['DescribeKey'] })).GrantId!)
      this.#aliases.push(await makeAlias(this.key))
    }
  }
}

const ALGORITHM = (subject: Subject) => subject.algorithm('ENCRYPT_DECRYPT', 'SYMMETRIC_DEFAULT')
const onKey = ({ id }: Subject): Input => ({ KeyId: id })
const withDataKey = ({ id }: Subject): Input => ({ KeyId: id, KeySpec: 'AES_256' })
const withPair = ({ id }: Subject): Input => ({ KeyId: id, KeyPairSpec: 'ECC_NIST_P256' })

const INPUTS: Readonly<Record<string, (subject: Subject) => Input | Promise<Input>>> = {
  CancelKeyDeletion: onKey,
  CreateAlias: ({ id }) => ({ AliasName: newAliasName(), TargetKeyId: id }),
  CreateGrant: ({ id }) => ({ KeyId: id, GranteePrincipal: callerArn, Operations: ['DescribeKey'] }),
  Decapsulate: ({ id }) => ({
    ...{ KeyId: id, EncapsulationAlgorithm: 'ML_KEM' },
    SharedSecretCiphertextBlob: randomBytes(768),
  }),
  Decrypt: async subject => ({
    ...{ KeyId: subject.id, CiphertextBlob: await subject.ciphertext() },
    EncryptionAlgorithm: ALGORITHM(subject),
  }),
  DeleteAlias: subject => ({ AliasName: subject.takeAlias() }),
  DeleteImportedKeyMaterial: onKey,
  DeriveSharedSecret: subject => ({
    ...{ KeyId: subject.id, KeyAgreementAlgorithm: 'ECDH' },
    PublicKey: subject.peer(),
  }),
  DescribeKey: onKey,
  DisableKey: onKey,
  DisableKeyRotation: onKey,
  EnableKey: onKey,
  EnableKeyRotation: onKey,
  Encapsulate: ({ id }) => ({ KeyId: id, EncapsulationAlgorithm: 'ML_KEM' }),
  Encrypt: subject => ({ KeyId: subject.id, Plaintext: MESSAGE, EncryptionAlgorithm: ALGORITHM(subject) }),
  GenerateDataKey: withDataKey,
  GenerateDataKeyPair: withPair,
  GenerateDataKeyPairWithoutPlaintext: withPair,
  GenerateDataKeyWithoutPlaintext: withDataKey,
  GenerateMac: subject => subject.mac(),
  GetKeyLastUsage: onKey,
  GetKeyPolicy: ({ id }) => ({ KeyId: id, PolicyName: 'default' }),
  GetKeyRotationStatus: onKey,
  GetParametersForImport: subject => subject.wrapping(),
  GetPublicKey: onKey,
  ImportKeyMaterial: subject => subject.importing(),
  ListAliases: onKey,
  ListGrants: onKey,
  ListKeyPolicies: onKey,
  ListKeyRotations: onKey,
  ListResourceTags: onKey,
  PutKeyPolicy: async ({ id }) => {
    const { Policy } = await kms.getKeyPolicy({ KeyId: id })
    return { KeyId: id, PolicyName: 'default', Policy }
  },
  'ReEncrypt from': async subject => ({
    ...{ SourceKeyId: subject.id, CiphertextBlob: await subject.ciphertext() },
    ...{ SourceEncryptionAlgorithm: ALGORITHM(subject), DestinationKeyId: (await standing({})).id },
  }),
  'ReEncrypt to': async subject => ({
    ...{ CiphertextBlob: await standingCiphertext(), DestinationKeyId: subject.id },
    DestinationEncryptionAlgorithm: ALGORITHM(subject),
  }),
  ReplicateKey: ({ id }) => ({ KeyId: id, ReplicaRegion: OTHER_REGION }),
  RetireGrant: subject => ({ KeyId: subject.key.arn, GrantId: subject.takeGrant() }),
  RevokeGrant: subject => ({ KeyId: subject.id, GrantId: subject.takeGrant() }),
  RotateKeyOnDemand: onKey,
  ScheduleKeyDeletion: onKey,
  Sign: subject => subject.signing(),
  TagResource: ({ id }) => ({ KeyId: id, Tags: [TAG] }),
  UntagResource: ({ id }) => ({ KeyId: id, TagKeys: [TAG.TagKey] }),
  'UpdateAlias from': async subject => ({
    ...{ AliasName: subject.takeAlias(), TargetKeyId: (await subject.sibling()).id },
  }),
  'UpdateAlias to': async subject => ({
    ...{ AliasName: await makeAlias(await subject.sibling()), TargetKeyId: subject.id },
  }),
  UpdateKeyDescription: ({ id }) => ({ KeyId: id, Description: 'seen' }),
  UpdatePrimaryRegion: ({ id }) => ({ KeyId: id, PrimaryRegion: OTHER_REGION }),
  Verify: subject => ({ ...subject.signing(), Signature: subject.made().signature }),
  VerifyMac: subject => ({ ...subject.mac(), Mac: subject.made().mac }),
}

/** An alias moves between key pairs of one usage, so a small key may stand for a large one. */
const SIBLINGS: Readonly<Partial<Record<KeySpec, KeySpec>>> = { RSA_3072: 'RSA_2048', RSA_4096: 'RSA_2048' }

const stands = new Map<string, Promise<Key>>()

/** A key of its kind that no row changes. */
function standing(kind: Kind): Promise<Key> {
  const name = JSON.stringify(kind)
  const made = stands.get(name) ?? makeKey(kms, kind)
  stands.set(name, made)
  return made
}

let ciphertext: Promise<Uint8Array> | undefined
function standingCiphertext(): Promise<Uint8Array> {
  ciphertext ??= standing({}).then(
    async ({ id }) => (await kms.encrypt({ KeyId: id, Plaintext: MESSAGE })).CiphertextBlob!,
  )
  return ciphertext
}

const pairs = new Map<string, { publicKey: KeyObject; privateKey: KeyObject }>()

/** One pair of each curve and size for a whole run: its bytes may be several keys' material. */
function pairOf(curveOrBits: string | number): { publicKey: KeyObject; privateKey: KeyObject } {
  const name = String(curveOrBits)
  const pair =
    pairs.get(name) ??
    (typeof curveOrBits === 'number'
      ? generateKeyPairSync('rsa', { modulusLength: curveOrBits })
      : generateKeyPairSync('ec', { namedCurve: curveOrBits }))
  pairs.set(name, pair)
  return pair
}

function materialOf(spec: KeySpec): Buffer {
  const { secretBytes } = specFacts(spec)
  if (secretBytes !== undefined) return randomBytes(secretBytes)
  if (spec === 'ECC_NIST_EDWARDS25519') return pkcs8(generateKeyPairSync('ed25519').privateKey)
  return pkcs8(pairOf(CURVES[spec] ?? Number(spec.slice('RSA_'.length))).privateKey)
}

function taken(held: string[]): string {
  const one = held.pop()
  if (one === undefined) throw new Error('the subject was made for fewer rounds')
  return one
}
