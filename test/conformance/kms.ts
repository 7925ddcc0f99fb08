/**
 * What the conformance tests share: one sandbox for all test files of a Jest worker, the SDK's client of it, keys to try
 * things on, and answers and refusals in a form that is compared as a whole.
 */
import { globalAgent } from 'node:http'
import { type CreateKeyRequest, KMS, KMSServiceException } from '@aws-sdk/client-kms'
import { afterAll, expect } from '@jest/globals'
import { connectionOf, type SandboxDescription, startSandbox } from '../support/sandbox.ts'

const SHARED = Symbol.for('strongroom.test.conformance')
/** Jest gives every test file its own copy of each module but Node's, so a worker's sandbox is remembered on one of those. */
const worker = globalAgent as { [SHARED]?: Promise<SandboxDescription> }
worker[SHARED] ??= startSandbox({ tokens: 1, regions: ['on-prem-1', 'on-prem-2'] }).then(shared => shared.description)

export const sandbox = await worker[SHARED]
export const { region, accountId, callerArn } = sandbox
export const OTHER_REGION = 'on-prem-2'
export const OTHER_ACCOUNT = '111122223333'

/** Clients of the first user, in the sandbox's first region and in the other. */
export const kms = clientIn(region)
export const elsewhere = clientIn(OTHER_REGION)
afterAll(() => {
  kms.destroy()
  elsewhere.destroy()
})

function clientIn(name: string): KMS {
  const client = new KMS({ ...connectionOf(sandbox), region: name, maxAttempts: 1 })
  // The SDK drops members that it does not know, so the answers as they came are kept beside what it makes of them.
  client.middlewareStack.add(
    next => async args => {
      const result = await next(args)
      const response = result.response as { body: Uint8Array | AsyncIterable<Uint8Array> }
      response.body = await readAll(response.body as AsyncIterable<Uint8Array>)
      return result
    },
    { step: 'deserialize', priority: 'low', name: 'readBody' },
  )
  client.middlewareStack.add(
    next => async args => {
      const result = await next(args)
      const { body } = result.response as { body: Uint8Array }
      received.set(result.output as object, JSON.parse(Buffer.from(body).toString()))
      return result
    },
    { step: 'deserialize', priority: 'high', name: 'keepAnswer' },
  )
  return client
}

/** The JSON that an output was made of. */
const received = new WeakMap<object, unknown>()

async function readAll(stream: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  for await (const chunk of stream) chunks.push(chunk)
  return Buffer.concat(chunks)
}

/** The path of every member, those in lists and structures too. */
function membersOf(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array || value instanceof Date) return [path]
  return Object.entries(value).flatMap(([name, member]) => membersOf(member, `${path}.${name}`))
}

export type State = 'Enabled' | 'Disabled' | 'PendingDeletion'

export interface Key {
  readonly id: string
  readonly arn: string
}

/** What a key is made for; symmetric encryption when nothing is said. */
export type Kind = Pick<CreateKeyRequest, 'KeySpec' | 'KeyUsage' | 'Origin' | 'MultiRegion'>

export async function makeKey(client = kms, kind: Kind = {}): Promise<Key> {
  const { KeyMetadata } = await client.createKey(kind)
  return { id: KeyMetadata!.KeyId!, arn: KeyMetadata!.Arn! }
}

export async function putInState({ id: KeyId }: Key, state: State): Promise<void> {
  if (state === 'Disabled') await kms.disableKey({ KeyId })
  if (state === 'PendingDeletion') await kms.scheduleKeyDeletion({ KeyId })
}

let aliases = 0

export async function makeAlias({ id }: Key, client = kms): Promise<string> {
  const AliasName = newAliasName()
  await client.createAlias({ AliasName, TargetKeyId: id })
  return AliasName
}

export function newAliasName(): string {
  aliases += 1
  return `alias/test/${process.pid}-${Date.now()}-${aliases}`
}

export function aliasArn(name: string): string {
  return `arn:aws:kms:${region}:${accountId}:${name}`
}

export const text = (characters: string) => new TextEncoder().encode(characters)
export const bytes = (length: number) => new Uint8Array(length).fill(0x61)

export async function encrypt({ id }: Key, EncryptionContext?: Record<string, string>): Promise<Uint8Array> {
  const { CiphertextBlob } = await kms.encrypt({ KeyId: id, Plaintext: text('attack at dawn'), EncryptionContext })
  return CiphertextBlob!
}

export const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
/** A KeyMaterialId. */
export const MATERIAL_ID = expect.stringMatching(/^[0-9a-f]{64}$/)
export const BLOB = expect.any(Uint8Array)

interface Metadata {
  readonly $metadata: { readonly httpStatusCode?: number | undefined; readonly requestId?: string | undefined }
}

/** The members of a successful answer: compare with `toStrictEqual`, and none may be missing or too many. */
export async function answer<T extends Metadata>(call: Promise<T>): Promise<Omit<T, '$metadata'>> {
  const output = await call
  const { $metadata, ...members } = output
  expect(membersOf(received.get(output)).sort()).toEqual(membersOf(members).sort())
  expect($metadata.httpStatusCode).toBe(200)
  expect($metadata.requestId).toMatch(UUID)
  return members
}

/** `Code: message` of a refusal, which must come with status 400. The SDK calls a message that is absent UnknownError. */
export async function refusal(call: Promise<unknown>): Promise<string> {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  if (error === undefined) throw new Error('the call was expected to be refused, and succeeded')
  if (!(error instanceof KMSServiceException)) throw error
  expect(error.$metadata.httpStatusCode).toBe(400)
  expect(error.$metadata.requestId).toMatch(UUID)
  return `${error.name}: ${error.message}`
}

/** What is said of one member that breaks a constraint. `value` as it is quoted, if it is. */
export function invalid(member: string, value: string | null | undefined, rule: string): string {
  const quoted = value === undefined ? 'Value' : value === null ? 'Value null' : `Value '${value}'`
  const failure = `${quoted} at '${member}' failed to satisfy constraint: Member must ${rule}`
  return `ValidationException: 1 validation error detected: ${failure}`
}

export const disabled = ({ arn }: Key) => `DisabledException: ${arn} is disabled.`
export const pendingReplicaDeletion = ({ arn }: Key) => `KMSInvalidStateException: ${arn} is pending replica deletion.`
export const pendingDeletion = ({ arn }: Key) => `KMSInvalidStateException: ${arn} is pending deletion.`
export const DRY_RUN = 'DryRunOperationException: The request would have succeeded, but the DryRun option is set.'
export const INVALID_CIPHERTEXT = 'InvalidCiphertextException: UnknownError'
export const INVALID_MARKER = 'InvalidMarkerException: The marker is not valid.'
