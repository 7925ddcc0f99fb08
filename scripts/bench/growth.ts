/** The daemon with more and more keys in its store: how long until it is ready, what it holds in memory, what a request costs. */
import { randomBytes } from 'node:crypto'
import { CreateKeyCommand, EncryptCommand, KMSClient } from '@aws-sdk/client-kms'
import { Child } from './child.ts'
import { closedLoop } from './closed-loop.ts'
import type { GrowthKeeper } from './growth-keeper.ts'
import type { Target } from './load.ts'
import type { LoadGenerator } from './load-generator.ts'
import { type Operation, PLAINTEXT_BYTES, type Subject } from './operations.ts'
import type { RawTokens } from './raw.ts'
import { drawTable, type Report } from './report.ts'
import { sampleOf } from './sample.ts'
import type { Credentials } from './sigv4.ts'

/** Of as many keys requests are sent in turn: more than a cache of few would hold. */
const IN_USE_MAX = 10_000
const MADE_AT_ONCE = 32
const OPERATIONS = ['GenerateDataKey', 'Decrypt'] as const satisfies readonly Operation[]
type Grown = (typeof OPERATIONS)[number]

export interface GrowthPoint {
  readonly keys: number
  readonly inUse: number
  readonly fillSeconds: number
  /** From the start of the process to its being ready to serve. */
  readonly readyMs: number
  /** Resident memory of the service process: when it is ready, after the load, and the most until then. */
  readonly readyBytes: number
  readonly loadedBytes: number
  readonly peakBytes: number
  /** Beside what the bare tokens took in the same rounds, each with as many keys in use. */
  readonly operations: Report['operations']
}

interface Plan {
  readonly sizes: readonly number[]
  readonly connections: number
  readonly rounds: number
  readonly seconds: number
  readonly warmUp: number
}

export async function growth(
  load: LoadGenerator,
  raw: RawTokens,
  { sizes, ...plan }: Plan,
  progress: (line: string) => void,
): Promise<GrowthPoint[]> {
  await using keeper = new Child<GrowthKeeper>('./growth-keeper.ts')
  const credentials = await keeper.ask('prepare', null)
  const first = await keeper.ask('serve', null)
  const templateKeyId = await withClient(first.endpoint, credentials, async client => {
    const { KeyMetadata } = await client.send(new CreateKeyCommand({ Description: 'npm run bench -- --growth' }))
    return KeyMetadata!.KeyId!
  })
  await keeper.ask('stop', null)
  const points: GrowthPoint[] = []
  for (const keys of sizes) {
    progress(`${keys.toLocaleString('en')} keys: filling the store`)
    const startedAt = performance.now()
    const ids = await keeper.ask('fill', { keys, templateKeyId, inUse: Math.min(keys, IN_USE_MAX) })
    const fillSeconds = Math.round((performance.now() - startedAt) / 1_000)
    const { endpoint, pid, readyMs } = await keeper.ask('serve', null)
    const { bytes: readyBytes } = await keeper.ask('memory', null)
    const bodies = await bodiesOf(endpoint, credentials, ids)
    const daemon: Subject = {
      name: 'daemon',
      offers: () => true,
      measure: (operation, seconds) =>
        sampleOf(load, targetOf(endpoint, credentials, operation, bodies[operation as Grown]), pid, seconds),
    }
    progress(`${keys.toLocaleString('en')} keys: using ${ids.length.toLocaleString('en')} for the first time`)
    await daemon.measure('GenerateDataKey', ids.length / FIRST_USES_PER_SECOND)
    await raw.useKeys(ids.length)
    const { operations } = await closedLoop([raw, daemon], { ...plan, operations: OPERATIONS }, progress)
    const { bytes: loadedBytes, peakBytes } = await keeper.ask('memory', null)
    await keeper.ask('stop', null)
    points.push({ keys, inUse: ids.length, fillSeconds, readyMs, readyBytes, loadedBytes, peakBytes, operations })
    progress(`${keys.toLocaleString('en')} keys: ready after ${readyMs} ms`)
  }
  return points
}

/** One body for each key in use. */
async function bodiesOf(endpoint: string, credentials: Credentials, ids: readonly string[]) {
  const ciphertexts = await withClient(endpoint, credentials, async client => {
    const made: string[] = []
    for (let at = 0; at < ids.length; at += MADE_AT_ONCE) {
      const batch = ids.slice(at, at + MADE_AT_ONCE).map(async KeyId => {
        const command = new EncryptCommand({ KeyId, Plaintext: randomBytes(PLAINTEXT_BYTES) })
        return Buffer.from((await client.send(command)).CiphertextBlob!).toString('base64')
      })
      made.push(...(await Promise.all(batch)))
    }
    return made
  })
  return {
    GenerateDataKey: ids.map(KeyId => JSON.stringify({ KeyId, KeySpec: 'AES_256' })),
    Decrypt: ids.map((KeyId, at) => JSON.stringify({ KeyId, CiphertextBlob: ciphertexts[at] })),
  }
}

async function withClient<T>(
  endpoint: string,
  { region, accessKeyId, secretAccessKey }: Credentials,
  work: (client: KMSClient) => Promise<T>,
): Promise<T> {
  const client = new KMSClient({ endpoint, region, credentials: { accessKeyId, secretAccessKey } })
  try {
    return await work(client)
  } finally {
    client.destroy()
  }
}

function targetOf(endpoint: string, credentials: Credentials, operation: string, bodies: readonly string[]): Target {
  const { hostname, port } = new URL(endpoint)
  return { host: hostname, port: Number(port), path: '/', bodies, kms: { operation, credentials } }
}

/** The first use of a key reads its record and has each token unwrap its EKT: what is measured is what comes after. */
const FIRST_USES_PER_SECOND = 400
const COLUMNS = ['keys', 'in use', 'filled in s', 'ready in ms', 'MB ready', 'MB loaded', 'MB at most']
const BYTES_PER_MEGABYTE = 1_048_576

export function growthTable(points: readonly GrowthPoint[]): string {
  const columns = [...COLUMNS, ...OPERATIONS.flatMap(operation => [`${operation}/s`, 'CPU µs', '÷ raw'])]
  const rows = points.map(({ keys, inUse, fillSeconds, readyMs, readyBytes, loadedBytes, peakBytes, operations }) => [
    ...[keys, inUse, fillSeconds, readyMs].map(value => value.toLocaleString('en')),
    ...[readyBytes, loadedBytes, peakBytes].map(bytes => Math.round(bytes / BYTES_PER_MEGABYTE).toLocaleString('en')),
    ...OPERATIONS.flatMap(operation => {
      const { daemon, raw } = operations[operation]!
      return [daemon!.opsPerSec.toLocaleString('en'), daemon!.cpuUs.toFixed(1), (daemon!.cpuUs / raw!.cpuUs).toFixed(2)]
    }),
  ])
  return drawTable(columns, rows, 0)
}
