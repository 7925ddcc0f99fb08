/**
 * Every metric, declared once, through prom-client. Labels come from closed sets (operations, commands, outcomes,
 * configured tokens), so their number is bounded and no caller can add one.
 */
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client'

/** From a tenth of a millisecond, which SoftHSM needs, to the longest deadline. */
const LATENCY_BUCKETS_SECONDS = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
]

export class Metrics {
  readonly registry = new Registry()

  readonly requests = this.#counter('requests_total', 'Requests by operation and outcome: ok, or the error code.', [
    'operation',
    'outcome',
  ])
  readonly requestSeconds = this.#histogram(
    'request_duration_seconds',
    "From a request's first byte to its answer. Outcome: ok, refused (the caller's fault) or failed (ours).",
    ['operation', 'outcome'],
  )

  readonly commandSeconds = this.#histogram(
    'hsm_command_duration_seconds',
    'Time in the HSM host, token calls included.',
    ['region', 'token', 'command'],
  )
  readonly commandRoundTripSeconds = this.#histogram(
    'hsm_command_round_trip_seconds',
    'From the pool taking a command to its answer: queue, both channels, host and token.',
    ['region', 'command'],
  )
  readonly commandFaults = this.#counter(
    'hsm_command_faults_total',
    'Faults by kind: input, key, session, token, module.',
    ['region', 'token', 'kind'],
  )
  readonly commandRepeats = this.#counter(
    'hsm_command_repeats_total',
    'Commands sent once more, elsewhere if there is another token, after a fault of this one or the loss of its host.',
    ['region', 'token'],
  )
  readonly commandRecalls = this.#counter(
    'hsm_command_recalls_total',
    'Commands that waited behind one that took long, and were sent elsewhere.',
    ['region', 'token'],
  )
  readonly waitSeconds = this.#histogram(
    'hsm_command_wait_seconds',
    'How long commands waited for which no token had room at once.',
    ['region'],
  )
  readonly inFlight = this.#gauge('hsm_commands_in_flight', 'Commands that a host is working on or has queued.', [
    'region',
    'token',
  ])
  readonly waiting = this.#gauge('hsm_commands_waiting', 'Commands that wait for a token with room for them.', [
    'region',
  ])
  readonly tokenState = this.#gauge('hsm_token_state', '1 for the state a token is in, 0 for the others.', [
    'region',
    'token',
    'state',
  ])
  readonly probes = this.#counter('hsm_probes_total', 'Known-answer commands by outcome: passed or failed.', [
    'region',
    'token',
    'outcome',
  ])
  readonly hosts = this.#gauge('hsm_hosts', 'HSM hosts that serve a token.', ['region', 'token'])
  readonly hostRestarts = this.#counter(
    'hsm_host_restarts_total',
    'HSM hosts started in the place of one that was lost.',
    ['region', 'token'],
  )
  readonly hostRecycles = this.#counter(
    'hsm_host_recycles_total',
    'HSM hosts that had done enough, or held too much memory, and were replaced.',
    ['region', 'token'],
  )
  readonly cachedHbks = this.#gauge('hsm_cached_hbks', 'HBK handles held in a token.', ['region', 'token'])
  readonly openSessions = this.#gauge('hsm_open_sessions', 'Sessions that the hosts of a token hold open.', [
    'region',
    'token',
  ])
  readonly hostMemoryBytes = this.#gauge('hsm_host_resident_memory_bytes', 'Resident memory of the hosts of a token.', [
    'region',
    'token',
  ])
  readonly residentHbks = this.#gauge('hsm_resident_hbks', 'HBKs that reside in a token, at the last check.', [
    'region',
    'token',
  ])
  readonly orphanObjects = this.#gauge(
    'hsm_orphan_objects',
    'Objects in a token that no record names, at the last check.',
    ['region', 'token'],
  )
  readonly missingHbks = this.#gauge(
    'hsm_missing_hbks',
    'Resident HBKs that a record names and the token does not hold, at the last check.',
    ['region', 'token'],
  )

  readonly storeReads = this.#counter(
    'store_hot_reads_total',
    'Database reads that the memory of hot reads could not answer.',
    [],
  )
  readonly storeCached = this.#gauge('store_cached_records', 'Keys, aliases and access keys held in memory.', [])
  readonly rowsVerified = this.#counter(
    'store_rows_verified_total',
    'Stored records whose MACs the sweep has looked at.',
    [],
  )
  readonly rowsRefused = this.#counter(
    'store_rows_refused_total',
    'Stored records that somebody has changed by other means than this program, each counted once.',
    ['table'],
  )
  readonly ledgerEpoch = this.#gauge(
    'store_anchor_epoch',
    'The epoch of the key store that the tokens of a region were last told to remember.',
    ['region'],
  )
  readonly signingKeysOpened = this.#counter(
    'signing_keys_opened_total',
    'Signing keys opened in the crypto world.',
    [],
  )
  readonly keysRotated = this.#counter('keys_rotated_total', 'KMS keys given new material because it was due.', [])
  readonly materialsExpired = this.#counter(
    'imported_materials_expired_total',
    'KMS keys that lost imported material because its time had come.',
    [],
  )
  readonly keysDeleted = this.#counter('keys_deleted_total', 'KMS keys deleted when their waiting period ended.', [])

  constructor() {
    collectDefaultMetrics({ register: this.registry, prefix: 'strongroom_' })
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name: `strongroom_${name}`, help, labelNames, registers: [this.registry] })
  }

  #gauge<L extends string>(name: string, help: string, labelNames: readonly L[]): Gauge<L> {
    return new Gauge({ name: `strongroom_${name}`, help, labelNames, registers: [this.registry] })
  }

  #histogram<L extends string>(name: string, help: string, labelNames: readonly L[]): Histogram<L> {
    const options = { name: `strongroom_${name}`, help, labelNames, buckets: LATENCY_BUCKETS_SECONDS }
    return new Histogram({ ...options, registers: [this.registry] })
  }
}
