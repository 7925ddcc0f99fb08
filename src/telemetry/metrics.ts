/**
 * Every metric, declared once, through prom-client. Labels come from closed sets (operations, commands, outcomes,
 * configured tokens), so their number is bounded and no caller can add one.
 */
import { Counter, collectDefaultMetrics, Gauge, type Metric, Registry } from 'prom-client'
import { AccountLabels } from './account-labels.ts'
import { LatencyHistogram } from './latency-histogram.ts'
import { TallyCounter } from './tally.ts'

/** Accounts with a label of their own, where nobody has said how many. */
const ACCOUNT_LABELS_DEFAULT = 20

export class Metrics {
  readonly registry = new Registry()
  readonly accounts: AccountLabels

  readonly requests = this.#tally(
    'requests_total',
    'Requests by operation, outcome (ok, or the error code) and account of the caller.',
    ['operation', 'outcome', 'account'],
  )
  readonly requestSeconds = this.#histogram(
    'request_duration_seconds',
    "From a request's first byte to its answer. Outcome: ok, refused (the caller's fault) or failed (ours).",
    ['operation', 'outcome'],
  )
  readonly connections = this.#gauge('connections', 'Connections to the KMS API that are open.', [])
  readonly serviceProcesses = this.#gauge('service_processes', 'Processes that take connections to the KMS API.', [])
  readonly serviceRestarts = this.#counter(
    'service_process_restarts_total',
    'Service processes started in the place of one that ended; where there is one process, 0.',
    [],
  )
  readonly certificateEnd = this.#gauge(
    'certificate_not_after_timestamp_seconds',
    'When the certificate in use ends, in Unix time; 0 where plain HTTP is served.',
    [],
    'max',
  )

  readonly requestsThrottled = this.#counter(
    'requests_throttled_total',
    'Requests refused because an account or a principal was faster than a configured rate allows.',
    ['quota', 'rate'],
  )

  readonly commandSeconds = this.#histogram(
    'hsm_command_duration_seconds',
    'Time in the HSM host, token calls included.',
    ['region', 'token', 'command', 'mechanism'],
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
  readonly commandFailovers = this.#counter(
    'hsm_command_failovers_total',
    'Commands that this token answered after another one had failed them.',
    ['region', 'token'],
  )
  readonly commandsRefused = this.#counter(
    'hsm_commands_refused_total',
    'Commands that no token was asked for, or that none answered: busy beyond hsm.maxCommands, or unavailable.',
    ['region', 'reason'],
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
  readonly commandLimit = this.#gauge(
    'hsm_commands_limit',
    'Commands that a region takes, in flight and waiting together: hsm.maxCommands.',
    ['region'],
  )
  readonly lanes = this.#gauge(
    'hsm_lanes',
    'Threads of hosts that serve a token, each one command at a time: what its commands can keep busy.',
    ['region', 'token'],
  )
  readonly regionReady = this.#gauge(
    'region_ready',
    '1 while a region has a token that can serve, and 0 otherwise.',
    ['region'],
    'min',
  )
  readonly tokenState = this.#gauge(
    'hsm_token_state',
    '1 for the state a token is in, 0 for the others.',
    ['region', 'token', 'state'],
    'max',
  )
  readonly tokenStateChanges = this.#counter('hsm_token_state_changes_total', 'Times that a token came into a state.', [
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
  readonly hbkImports = this.#counter(
    'hsm_hbk_imports_total',
    'EKTs that hosts have verified and taken into use because the cache did not hold the HBK, as they last told.',
    ['region', 'token'],
  )
  readonly hostCpuSeconds = this.#counter(
    'hsm_host_cpu_seconds_total',
    'CPU time of the hosts of a token, as they last told.',
    ['region', 'token'],
  )
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
  readonly storeHits = this.#counter('store_hot_hits_total', 'Hot reads that memory answered.', [])
  readonly storeCached = this.#gauge('store_cached_records', 'Keys, aliases and access keys held in memory.', [])
  readonly storeBytes = this.#gauge(
    'store_file_bytes',
    'Size of the key store on disk: database, and wal.',
    ['file'],
    'max',
  )
  readonly storeViewAge = this.#gauge(
    'store_view_age_seconds',
    'Since it was last known that no other process has changed what memory holds of the key store. Above 5, requests are refused.',
    [],
    'max',
  )
  readonly storeWritable = this.#gauge(
    'store_writable',
    '1 while the key store takes changes, 0 while its disk is full or can only be read.',
    [],
    'min',
  )
  readonly transactionWaitSeconds = this.#histogram(
    'store_transaction_wait_seconds',
    'How long transactions waited for their turn and for the write lock.',
    ['outcome'],
  )
  readonly transactionSeconds = this.#histogram(
    'store_transaction_duration_seconds',
    'How long transactions kept the write lock, until their changes were on disk or dropped.',
    ['outcome'],
  )
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
    'max',
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

  readonly auditWritable = this.#gauge(
    'audit_writable',
    '1 while events can be recorded, 0 while nothing that needs recording is done.',
    [],
    'min',
  )
  readonly auditEvents = this.#gauge('audit_chain_events', 'Events in the chains of this daemon start.', [])
  readonly auditUncoveredEvents = this.#gauge(
    'audit_uncovered_events',
    'Events that no signed checkpoint covers yet: the audit lag.',
    [],
  )
  readonly auditCovered = this.#gauge(
    'audit_covered_timestamp_seconds',
    'When all events there were had a signed checkpoint, in Unix time.',
    [],
    'min',
  )
  readonly auditDiskBytes = this.#gauge(
    'audit_disk_bytes',
    'Of the disk that the audit log is written to: its size, and what is free of it.',
    ['what'],
    'max',
  )
  readonly auditUnstoredBytes = this.#gauge(
    'audit_unstored_bytes',
    'Lines of the audit log that are in its files and not in the key store yet.',
    [],
  )
  readonly auditForwardLagBytes = this.#gauge(
    'audit_forward_lag_bytes',
    'Lines of the audit log that a sink has not got for certain.',
    ['sink'],
  )
  readonly auditFailures = this.#counter(
    'audit_failures_total',
    'Times that a part of the audit log began to fail: write, checkpoint, store, or a sink that lines are forwarded to.',
    ['part'],
  )
  readonly auditRefusalsCounted = this.#counter(
    'audit_refusals_counted_total',
    'Refused requests, of callers who had proved nothing, that were counted in the audit log in place of an event each.',
    [],
  )
  readonly taskRuns = this.#counter('task_runs_total', 'Runs of tasks by outcome: done or failed.', ['task', 'outcome'])
  readonly taskSeconds = this.#histogram('task_duration_seconds', 'How long the runs of tasks took.', ['task'])
  readonly taskSucceeded = this.#gauge(
    'task_last_success_timestamp_seconds',
    'When a task last ended well, in Unix time; its first start before that.',
    ['task'],
    'min',
  )
  readonly taskInterval = this.#gauge('task_interval_seconds', 'How often a task is due.', ['task'], 'max')

  /** `accountLabels` is how many accounts have a label of their own. */
  constructor({ accountLabels = ACCOUNT_LABELS_DEFAULT }: { accountLabels?: number } = {}) {
    this.accounts = new AccountLabels(accountLabels)
    collectDefaultMetrics({ register: this.registry, prefix: 'strongroom_' })
  }

  #counter<L extends string>(name: string, help: string, labelNames: readonly L[]): Counter<L> {
    return new Counter({ name: `strongroom_${name}`, help, labelNames, registers: [this.registry] })
  }

  #tally<L extends string>(name: string, help: string, labelNames: readonly L[]): TallyCounter<L> {
    return new TallyCounter({ name: `strongroom_${name}`, help, labelNames, registers: [this.registry] })
  }

  /** `aggregator` says what several processes of a daemon have together, where it is not the sum of what each has. */
  #gauge<L extends string>(
    name: string,
    help: string,
    labelNames: readonly L[],
    aggregator: 'sum' | 'min' | 'max' = 'sum',
  ): Gauge<L> {
    return new Gauge({ name: `strongroom_${name}`, help, labelNames, aggregator, registers: [this.registry] })
  }

  #histogram<L extends string>(name: string, help: string, labelNames: readonly L[]): LatencyHistogram<L> {
    const histogram = new LatencyHistogram(`strongroom_${name}`, help, labelNames)
    // All that the registry asks of a metric is its name and `get`.
    this.registry.registerMetric(histogram as unknown as Metric<L>)
    return histogram
  }
}
