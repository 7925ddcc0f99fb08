/** An audit log of a test's own, with an audit key in memory in place of a token's. */
import { createHash, generateKeyPairSync, randomBytes, sign } from 'node:crypto'
import { AuditLog, type AuditLogParts, type LineBlock } from '../../src/audit/log.ts'
import { LogFiles } from '../../src/audit/log-files.ts'
import { Notary } from '../../src/audit/notary.ts'
import { PendingEvents } from '../../src/audit/pending.ts'
import { AuditRecorder } from '../../src/audit/recorder.ts'
import { type ChainPlace, recoverDaemon, recoverProcess } from '../../src/audit/recovery.ts'
import { ByteWriter } from '../../src/base/bytes.ts'
import { type ChainHead, writeEventLine } from '../../src/formats/audit-chain.ts'
import { type CheckpointClaims, writeCheckpoint } from '../../src/formats/audit-checkpoint.ts'

const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })

/** SubjectPublicKeyInfo, DER. */
export const auditPublicKey = publicKey.export({ format: 'der', type: 'spki' })
const auditKey = createHash('sha256').update(auditPublicKey).digest()

export async function signInMemory(claims: CheckpointClaims) {
  const witness = { domainId: Buffer.alloc(16), lane: Buffer.alloc(16), commands: 1, uses: 1, auditKey }
  const body = writeCheckpoint({ ...claims, ...witness })
  return { body, signature: sign('sha256', body, privateKey) }
}

/** The line of an event, LF included. */
export function eventLine(seq: number, hash: string, event: string): string {
  const writer = new ByteWriter()
  writeEventLine(writer, seq, hash, event)
  return writer.finish().toString('utf8')
}

/** What the key store would keep. */
export class MemoryStorage {
  readonly stored: LineBlock[] = []
  readonly pending = new Map<string, string>()

  async addBlock(block: LineBlock, chained: readonly string[]): Promise<void> {
    this.stored.push(block)
    for (const id of chained) this.pending.delete(id)
  }

  async chains() {
    return [...Map.groupBy(this.stored, ({ chain }) => chain)]
      .map(([chain, blocks]) => ({ chain, firstAtMs: Math.min(...blocks.map(({ firstAtMs }) => firstAtMs)) }))
      .toSorted((a, b) => a.firstAtMs - b.firstAtMs)
  }

  async firstBlock(chain: string): Promise<LineBlock | undefined> {
    return this.stored.find(block => block.chain === chain)
  }

  async lastBlock(chain: string): Promise<LineBlock | undefined> {
    return this.stored.findLast(block => block.chain === chain)
  }

  async *blocksOf(chain: string): AsyncGenerator<LineBlock> {
    yield* this.stored.filter(block => block.chain === chain).toReversed()
  }

  async forgetPending(ids: readonly string[]): Promise<void> {
    for (const id of ids) this.pending.delete(id)
  }

  async pendingEvents() {
    return [...this.pending].map(([id, event]) => ({ id, event, chain: null }))
  }

  /** Chain by chain, in the order in which they began. */
  async *blocks(): AsyncGenerator<LineBlock> {
    for (const { chain } of await this.chains()) yield* this.stored.filter(block => block.chain === chain)
  }
}

export interface TestLog {
  readonly log: AuditLog
  readonly files: LogFiles
  readonly notary: Notary
  readonly recorder: AuditRecorder
  /** Records this many events, one after the other. */
  record(count: number): Promise<void>
  /** Ends as a daemon that is told to stop. */
  stop(): Promise<void>
}

interface Options {
  readonly folder: string
  readonly storage?: MemoryStorage
  readonly maxBytes?: number
  readonly clock?: () => number
  readonly parts?: Partial<AuditLogParts>
  /** The chain is that of a service process. */
  readonly place?: ChainPlace
  /** Heads of other chains, for checkpoints. */
  readonly others?: () => readonly ChainHead[]
}

/** Begins a chain in a folder, as a daemon does. Events are numbered through all chains of the process. */
export async function startLog({
  folder,
  storage = new MemoryStorage(),
  maxBytes = 1_000_000,
  clock = Date.now,
  parts = {},
  place,
  others,
}: Options): Promise<TestLog> {
  const left = { folder, storage, nowMs: clock() }
  const { own, processes } =
    place === undefined
      ? await recoverDaemon(left, { keptSinceMs: 0 })
      : { own: await recoverProcess(left, place), processes: [] }
  const chain = randomBytes(16).toString('hex')
  const files = new LogFiles({ folder, chain, maxBytes, startedAtMs: clock(), process: place?.process })
  const log = new AuditLog({ files, chain, clock, ...parts })
  const recorder = new AuditRecorder({ log, pending: new PendingEvents(), clock })
  const notary = new Notary({
    log,
    recorder,
    storage,
    clock,
    sign: signInMemory,
    ...(others === undefined ? {} : { others }),
  })
  await log.start()
  const ends = processes.length === 0 ? {} : { others: processes }
  const begins = { previous: own ?? null, ...ends, ...place }
  await recorder.note({ name: 'AuditLogStarted', parameters: { chain, ...begins } })
  return {
    ...{ log, files, notary, recorder },
    async record(count) {
      for (let at = 0; at < count; at += 1) await recorder.note({ name: 'Decrypt', parameters: { at, name: `é${at}` } })
    },
    async stop() {
      await notary.run()
      await log.close()
    },
  }
}
