/** The daemon, in a sandbox, as any client meets it: HTTP, Signature Version 4, a key of each kind, no encryption context. */
import { randomBytes } from 'node:crypto'
import {
  CreateKeyCommand,
  EncryptCommand,
  KMSClient,
  SignCommand,
  type SigningAlgorithmSpec,
} from '@aws-sdk/client-kms'
import { makeRuled, type Ruled } from './authorisation.ts'
import { Child } from './child.ts'
import { cpuOfTree } from './cpu.ts'
import type { Target } from './load.ts'
import type { LoadGenerator } from './load-generator.ts'
import type { OpenLoopPoint } from './open-loop.ts'
import {
  factsOf,
  MESSAGE_BYTES,
  type Operation,
  type OperationFacts,
  PLAINTEXT_BYTES,
  type Sample,
  type Server,
  VARIANTS,
} from './operations.ts'
import { type Made, requestBodies } from './requests.ts'
import { sampleOf } from './sample.ts'
import type { SandboxDescription, SandboxKeeper } from './sandbox-keeper.ts'

export class Daemon implements Server {
  readonly name = 'daemon'
  readonly #load: LoadGenerator
  readonly #processes: number
  readonly #keeper = new Child<SandboxKeeper>('./sandbox-keeper.ts')
  readonly #keyIds = new Map<string, string>()
  readonly #targets = new Map<Operation, Target>()
  #sandbox!: SandboxDescription
  #client!: KMSClient
  #ruled: Ruled | undefined

  /** `processes` is how many take connections. */
  constructor(load: LoadGenerator, processes = 1) {
    this.#load = load
    this.#processes = processes
  }

  async start(): Promise<void> {
    this.#sandbox = await this.#keeper.ask('start', { processes: this.#processes })
    const { endpoint, region, accessKeyId, secretAccessKey } = this.#sandbox
    this.#client = new KMSClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } })
  }

  offers(): boolean {
    return true
  }

  /** The first process, and those that take connections where it does not; their other children are the HSM hosts. */
  get pid(): number {
    return this.#sandbox.pid
  }

  get #servicePids(): readonly number[] {
    return this.#sandbox.servicePids
  }

  async measure(operation: Operation, seconds: number): Promise<Sample> {
    return sampleOf(this.#load, await this.target(operation), this.pid, seconds, this.#servicePids)
  }

  /** GenerateDataKey where many policies and grants have to be looked through; they are made at the first call. */
  async measureRuled(seconds: number): Promise<Sample> {
    this.#ruled ??= await makeRuled(this.#sandbox, this.#client)
    const { keyId, credentials } = this.#ruled
    const target = await this.target('GenerateDataKey')
    const bodies = requestBodies('GenerateDataKey', { KeyId: keyId })
    const ruled = { ...target, bodies, kms: { operation: 'GenerateDataKey', credentials } }
    return sampleOf(this.#load, ruled, this.pid, seconds, this.#servicePids)
  }

  /** Latencies at a fixed rate, with the CPU of one operation. */
  async pace(operation: Operation, perSecond: number, seconds: number): Promise<Omit<OpenLoopPoint, 'askedPerSec'>> {
    const target = await this.target(operation)
    const { before, after, ...latencies } = await this.#load.pace(target, perSecond, seconds, () =>
      cpuOfTree(this.pid, this.#servicePids),
    )
    return {
      ...latencies,
      serviceCpuUs: (after.rootUs - before.rootUs) / latencies.operations,
      hostsCpuUs: (after.belowUs - before.belowUs) / latencies.operations,
    }
  }

  /** The requests of an operation; key, ciphertexts and signatures are made when it is first asked for. */
  async target(operation: Operation): Promise<Target> {
    const known = this.#targets.get(operation)
    if (known !== undefined) return known
    const facts = factsOf(operation)
    const keyId = await this.#keyOf(facts)
    const common = facts.wireName === 'ReEncrypt' ? { DestinationKeyId: keyId } : { KeyId: keyId }
    const { endpoint, region, accessKeyId, secretAccessKey } = this.#sandbox
    const { hostname, port } = new URL(endpoint)
    const target = {
      host: hostname,
      port: Number(port),
      path: '/',
      bodies: requestBodies(operation, common, await this.#make(facts, keyId)),
      kms: { operation: facts.wireName, credentials: { accessKeyId, secretAccessKey, region } },
    }
    this.#targets.set(operation, target)
    return target
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#client?.destroy()
    await this.#keeper[Symbol.asyncDispose]()
  }

  async #keyOf({ key }: OperationFacts): Promise<string> {
    const known = this.#keyIds.get(key.KeySpec)
    if (known !== undefined) return known
    const { KeyMetadata } = await this.#client.send(new CreateKeyCommand({ ...key, Description: 'npm run bench' }))
    const keyId = KeyMetadata!.KeyId!
    this.#keyIds.set(key.KeySpec, keyId)
    return keyId
  }

  async #make({ needs, members }: OperationFacts, KeyId: string): Promise<Made> {
    const variants = (length: number) => Array.from({ length: VARIANTS }, () => randomBytes(length))
    if (needs === 'ciphertext') {
      const made = variants(PLAINTEXT_BYTES).map(Plaintext =>
        this.#client.send(new EncryptCommand({ KeyId, Plaintext })),
      )
      return { ciphertexts: (await Promise.all(made)).map(({ CiphertextBlob }) => base64(CiphertextBlob)) }
    }
    if (needs !== 'signature') return {}
    const SigningAlgorithm = members.SigningAlgorithm as SigningAlgorithmSpec
    const made = variants(MESSAGE_BYTES).map(async Message => {
      const { Signature } = await this.#client.send(new SignCommand({ KeyId, Message, SigningAlgorithm }))
      return { Message: base64(Message), Signature: base64(Signature) }
    })
    return { signatures: await Promise.all(made) }
  }
}

function base64(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes!).toString('base64')
}
