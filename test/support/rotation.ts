/**
 * A domain with keys in its store, ready for ceremonies: tokens, the open store, keys with what was made under each, and a
 * proof that every one of them still works.
 */
import { fork } from 'node:child_process'
import { hash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeSoftTokens } from '../../softhsm/tokens.ts'
import { ensureDomain } from '../../src/cli/ceremonies/domain.ts'
import type { CeremonyParts, RegionConfiguration } from '../../src/cli/ceremonies/parts.ts'
import { describeDomain } from '../../src/compose-pools.ts'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'
import { currentMaterial, type KmsKey } from '../../src/model/key.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import type { Domain } from '../../src/store/domain.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { DaemonKey } from '../../src/store/records.ts'
import type { Store } from '../../src/store/store.ts'
import { makeKey } from '../unit/store/records.ts'
import { Host } from './host.ts'
import { makeFolder, REGION, silentLogger } from './tokens.ts'

export const PLAINTEXT = Buffer.from('42 gold bars')
export const CONTEXT_HASH = Buffer.alloc(32, 7)

const RUNNER = fileURLToPath(new URL('rotation-runner.ts', import.meta.url))

/** A key, with what was made under its first EKT. */
export interface MadeKey {
  readonly key: KmsKey
  /** A ciphertext of {@link PLAINTEXT}, or a MAC over it. */
  readonly made: Buffer
}

export interface Ceremonies {
  readonly folder: string
  readonly storePath: string
  readonly store: Store
  /** By label. */
  readonly locations: Readonly<Record<string, TokenLocation>>
  readonly officerPinFile: string
  /** What operators have been told, and what was asked of them. */
  readonly said: string[]
  parts(changes?: Partial<CeremonyParts>): CeremonyParts
  /** The region with these of its tokens configured. */
  region(labels?: readonly string[]): RegionConfiguration
  domain(): Promise<Domain>
  /** `shared` is the domain that regions share, where the host is to know it. */
  startHost(label: string, domain?: Domain, shared?: Domain): Promise<Host>
  /** Rotates in a process of its own, which is killed with SIGKILL once it has taken a step of this name. */
  rotateKilledAt(step: string, region?: RegionConfiguration): Promise<readonly string[]>
  close(): Promise<void>
}

/** What the process that rotates is told. */
export interface RotationOrder {
  readonly storePath: string
  readonly region: RegionConfiguration
  readonly officerPinFile: string
  readonly killAt: string
}

export async function makeCeremonies(labels: readonly string[]): Promise<Ceremonies> {
  const folder = makeFolder()
  const { locations, officerPinFile } = await makeSoftTokens(join(folder.path, 'hsm'), labels)
  const byLabel = Object.fromEntries(labels.map((label, at) => [label, locations[at]!]))
  const storePath = join(folder.path, 'store.db')
  const store = await openStore({ path: storePath })
  const said: string[] = []
  const region: Ceremonies['region'] = (chosen = labels) => ({
    name: REGION,
    tokens: chosen.map(label => byLabel[label]!),
  })
  const parts: Ceremonies['parts'] = changes => ({
    ...{ store, clock: Date.now, logger: silentLogger, say: (line: string) => void said.push(line) },
    officerPin: async () => ({ file: officerPinFile }),
    ...changes,
  })
  await ensureDomain(parts(), region())
  const domain = async () => (await store.reader.findDomain(REGION))!
  return {
    ...{ folder: folder.path, storePath, store, locations: byLabel, officerPinFile, said, parts, region, domain },
    async startHost(label, described, shared) {
      const description = describeDomain(described ?? (await domain()))
      const multiRegionDomain = shared && describeDomain(shared)
      const limits = { cachedHbks: 10_000, hbkLifetimeMs: 600_000 }
      const { host, event } = await Host.start({
        token: byLabel[label]!,
        domain: description,
        multiRegionDomain,
        ...limits,
      })
      if (event.type === 'ready') return host
      await host[Symbol.asyncDispose]()
      const reason = event.type === 'failed' ? event.reason : 'it told of something else first'
      throw new Error(`the host of ${label} did not start: ${reason}`)
    },
    async rotateKilledAt(killAt, rotated = region()) {
      const order: RotationOrder = { storePath, region: rotated, officerPinFile, killAt }
      const orderPath = join(folder.path, 'order.json')
      writeFileSync(orderPath, JSON.stringify(order))
      const { PATH, STRONGROOM_TEST_RUN } = process.env
      const child = fork(RUNNER, [orderPath], {
        env: { PATH, STRONGROOM_TEST_RUN },
        execArgv: ['--disable-warning=ExperimentalWarning'],
      })
      const steps: string[] = []
      child.on('message', step => steps.push(String(step)))
      const ended = await new Promise(resolve => child.once('close', (code, signal) => resolve(signal ?? code)))
      if (ended !== 'SIGKILL') throw new Error(`the rotation was not killed at "${killAt}" but ended with ${ended}`)
      return steps
    },
    async close() {
      await store.close()
      folder.remove()
    },
  }
}

/** Creates keys in the token and in the store; every fifth is for MACs. */
export async function makeKeys({ store }: Ceremonies, host: Host, count: number): Promise<MadeKey[]> {
  const keys: MadeKey[] = []
  for (let at = 0; at < count; at += 1) {
    const mac = at % 5 === 4
    const key = await makeBackedKey(host, mac ? 'HMAC_224' : 'SYMMETRIC_DEFAULT')
    await store.transaction(tx => tx.insertKey(key))
    keys.push({ key, made: mac ? await macOf(host, key) : await ciphertextOf(host, key) })
  }
  return keys
}

/** A key with an HBK, stored nowhere. */
export async function makeBackedKey(
  host: Host,
  spec: KmsKey['spec'] = 'SYMMETRIC_DEFAULT',
  changes: Partial<KmsKey> = {},
): Promise<KmsKey> {
  const usage = spec === 'SYMMETRIC_DEFAULT' ? 'ENCRYPT_DECRYPT' : 'GENERATE_VERIFY_MAC'
  const key = makeKey({ spec, usage, ...changes })
  const request = { account: key.account, kid: key.kid, keySpec: spec, keyUsage: usage }
  const answer = await host.send('createBackingKey', request)
  if (answer.outcome !== 'result') throw new Error(`no HBK: ${JSON.stringify(answer)}`)
  const record = Buffer.from(answer.result.record)
  const material = {
    ...{ id: Buffer.from(answer.result.mid).toString('hex'), state: 'CURRENT' as const, createdAtMs: 1 },
    ekt: { record, digest: hash('sha256', record, 'buffer') },
  }
  return { ...key, materials: new Map([[material.id, material]]), current: material }
}

/** The daemon's own HBK, as `init` makes it. */
export async function makeStoredDaemonKey({ store }: Ceremonies, host: Host): Promise<DaemonKey> {
  const kid = kidOf(newKeyId())
  const request = { account: 'strongroom', kid, keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'IDENTITY' }
  const answer = await host.send('createBackingKey', request)
  if (answer.outcome !== 'result') throw new Error(`no HBK: ${JSON.stringify(answer)}`)
  const record = Buffer.from(answer.result.record)
  const made = { purpose: 'identity', region: REGION, kid, ekt: { record, digest: hash('sha256', record, 'buffer') } }
  await store.transaction(tx => tx.insertDaemonKey(made))
  return made
}

/** The ids of keys whose record does not open, or opens to something else than before. */
export async function brokenKeys({ store }: Ceremonies, host: Host, keys: readonly MadeKey[]): Promise<string[]> {
  const broken: string[] = []
  for (const { key, made } of keys) {
    const stored = await store.reader.findKey(key, key.id)
    const works = stored !== undefined && (await stillWorks(host, stored, made))
    if (!works) broken.push(key.id)
  }
  return broken
}

async function stillWorks(host: Host, key: KmsKey, made: Buffer): Promise<boolean> {
  const { ekt } = currentMaterial(key)
  if (key.usage === 'GENERATE_VERIFY_MAC') return (await macOf(host, key)).equals(made)
  const answer = await host.send('decrypt', { ekt, blob: made, contextHash: CONTEXT_HASH })
  return answer.outcome === 'result' && Buffer.from(answer.result.plaintext).equals(PLAINTEXT)
}

export async function ciphertextOf(host: Host, key: KmsKey): Promise<Buffer> {
  const request = { ekt: currentMaterial(key).ekt, plaintext: Buffer.from(PLAINTEXT), contextHash: CONTEXT_HASH }
  const answer = await host.send('encrypt', request)
  if (answer.outcome !== 'result') throw new Error(`no ciphertext: ${JSON.stringify(answer)}`)
  return Buffer.from(answer.result.blob)
}

async function macOf(host: Host, key: KmsKey): Promise<Buffer> {
  const answer = await host.send('generateMac', { ekt: currentMaterial(key).ekt, message: Buffer.from(PLAINTEXT) })
  if (answer.outcome !== 'result') throw new Error(`no MAC: ${JSON.stringify(answer)}`)
  return Buffer.from(answer.result.mac)
}
