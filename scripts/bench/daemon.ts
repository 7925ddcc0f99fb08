/** The daemon, in a sandbox, as any client meets it: HTTP, Signature Version 4, one key, no encryption context. */
import { randomBytes } from 'node:crypto'
import { CreateKeyCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms'
import { makeRuled, type Ruled } from './authorisation.ts'
import { Child } from './child.ts'
import { cpuOfTree } from './cpu.ts'
import type { Target } from './load.ts'
import type { LoadGenerator } from './load-generator.ts'
import { type Operation, PLAINTEXT_BYTES, type Sample, type Server, VARIANTS } from './operations.ts'
import { requestBodies } from './requests.ts'
import type { SandboxDescription, SandboxKeeper } from './sandbox-keeper.ts'

export class Daemon implements Server {
  readonly name = 'daemon'
  readonly #load: LoadGenerator
  readonly #keeper = new Child<SandboxKeeper>('./sandbox-keeper.ts')
  #sandbox!: SandboxDescription
  #keyId = ''
  #ciphertexts: readonly string[] = []
  #ruled!: Ruled

  constructor(load: LoadGenerator) {
    this.#load = load
  }

  /** Starts a sandbox, makes a key in it, and has it encrypt what Decrypt will be asked to open. */
  async start(): Promise<void> {
    this.#sandbox = await this.#keeper.ask('start', null)
    const { endpoint, region, accessKeyId, secretAccessKey } = this.#sandbox
    const client = new KMSClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } })
    const created = await client.send(new CreateKeyCommand({ Description: 'npm run bench' }))
    this.#keyId = created.KeyMetadata!.KeyId!
    const plaintexts = Array.from({ length: VARIANTS }, () => randomBytes(PLAINTEXT_BYTES))
    const ciphertexts = plaintexts.map(async plaintext => {
      const { CiphertextBlob } = await client.send(new EncryptCommand({ KeyId: this.#keyId, Plaintext: plaintext }))
      return Buffer.from(CiphertextBlob!).toString('base64')
    })
    this.#ciphertexts = await Promise.all(ciphertexts)
    this.#ruled = await makeRuled(this.#sandbox, client)
    client.destroy()
  }

  measure(operation: Operation, seconds: number): Promise<Sample> {
    return this.#sample(this.#target(operation), seconds)
  }

  /** GenerateDataKey where policies and grants have to be looked through (authorisation.ts). */
  measureRuled(seconds: number): Promise<Sample> {
    const { keyId, credentials } = this.#ruled
    const target = this.#target('GenerateDataKey')
    const bodies = requestBodies('GenerateDataKey', { KeyId: keyId })
    return this.#sample({ ...target, bodies, kms: { operation: 'GenerateDataKey', credentials } }, seconds)
  }

  async #sample(target: Target, seconds: number): Promise<Sample> {
    const run = await this.#load.measure(target, seconds, () => cpuOfTree(this.#sandbox.pid))
    const serviceCpuUs = (run.after.rootUs - run.before.rootUs) / run.operations
    const hostsCpuUs = (run.after.belowUs - run.before.belowUs) / run.operations
    return {
      operations: run.operations,
      opsPerSec: run.operations / run.seconds,
      cpuUs: serviceCpuUs + hostsCpuUs,
      serviceCpuUs,
      hostsCpuUs,
      loadCpuUs: run.loadCpuUs / run.operations,
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#keeper[Symbol.asyncDispose]()
  }

  #target(operation: Operation): Target {
    const { endpoint, region, accessKeyId, secretAccessKey } = this.#sandbox
    const { hostname, port } = new URL(endpoint)
    return {
      host: hostname,
      port: Number(port),
      path: '/',
      bodies: requestBodies(operation, { KeyId: this.#keyId }, this.#ciphertexts),
      kms: { operation, credentials: { accessKeyId, secretAccessKey, region } },
    }
  }
}
