/**
 * For each alert what makes it fire, and what is near to that and does not: series in the notation of promtool, a value every
 * 15 seconds (`0+3x40` is 0, 3, 6, … 120).
 */
export interface AlertCase {
  /** Series of a fault that lasts, and what the alert then says, `after` so long. */
  readonly fires: Readonly<Record<string, string>>
  readonly after: string
  readonly labels: Readonly<Record<string, string>>
  readonly summary: string
  /** Series of nothing out of the ordinary, or of a fault that is over. */
  readonly quiet: Readonly<Record<string, string>>
}

const FROM = 'instance="a",job="strongroom"'
const AT = { instance: 'a', job: 'strongroom' }
const REGION = { ...AT, region: 'r' }
const TOKEN = { ...REGION, token: 't' }
const ofToken = `${FROM},region="r",token="t"`
const states = (healthy: string, open: string, lockedOut: string) => ({
  [`strongroom_hsm_token_state{${ofToken},state="healthy"}`]: healthy,
  [`strongroom_hsm_token_state{${ofToken},state="open"}`]: open,
  [`strongroom_hsm_token_state{${ofToken},state="locked-out"}`]: lockedOut,
})
/** Two buckets of a histogram: observations up to `le`, and all. */
const buckets = (name: string, labels: string, le: string, within: string, all: string) => ({
  [`${name}_bucket{${labels},le="${le}"}`]: within,
  [`${name}_bucket{${labels},le="1"}`]: all,
  [`${name}_bucket{${labels},le="+Inf"}`]: all,
})
const gcm = `${ofToken},command="decrypt",mechanism="AES-256-GCM"`
const requests = (ok: string, failed: string) => ({
  [`strongroom_request_duration_seconds_count{${FROM},operation="Decrypt",outcome="ok"}`]: ok,
  [`strongroom_request_duration_seconds_count{${FROM},operation="Decrypt",outcome="failed"}`]: failed,
})
const task = (last: string) => ({
  [`strongroom_task_last_success_timestamp_seconds{${FROM},task="rotate due keys"}`]: last,
  [`strongroom_task_interval_seconds{${FROM},task="rotate due keys"}`]: '60x240',
})

export const ALERT_CASES: Readonly<Record<string, AlertCase>> = {
  StrongroomDown: {
    ...{ fires: { [`up{${FROM}}`]: '1x10 0x30' }, after: '5m', labels: AT },
    summary: 'Strongroom on a does not answer',
    quiet: { [`up{${FROM}}`]: '1x14 0x3 1x80' },
  },
  StrongroomRegionNotReady: {
    ...{ fires: { [`strongroom_region_ready{${FROM},region="r"}`]: '0x30' }, after: '2m', labels: REGION },
    summary: 'Region r has no token that can serve',
    quiet: { [`strongroom_region_ready{${FROM},region="r"}`]: '1x80' },
  },
  StrongroomTokenNotServing: {
    ...{ fires: states('0x30', '1x30', '0x30'), after: '2m', labels: TOKEN },
    summary: 'Token t of r has served nothing for a minute',
    quiet: states('0x2 1x80', '1x2 0x80', '0x80'),
  },
  StrongroomTokenLockedOut: {
    ...{ fires: states('0x30', '0x30', '1x30'), after: '1m', labels: { ...TOKEN, state: 'locked-out' } },
    summary: 'Token t of r refused its PIN, which is not tried again',
    quiet: states('0x2 1x80', '1x2 0x80', '0x80'),
  },
  StrongroomTokenUnsteady: {
    fires: { [`strongroom_hsm_token_state_changes_total{${ofToken},state="open"}`]: '0+1x60' },
    ...{ after: '10m', labels: { ...TOKEN, state: 'open' } },
    summary: 'Token t of r fails and comes back again and again',
    quiet: { [`strongroom_hsm_token_state_changes_total{${ofToken},state="open"}`]: '0x20 1x20 2x60' },
  },
  StrongroomHostsEnding: {
    ...{ fires: { [`strongroom_hsm_host_restarts_total{${ofToken}}`]: '0+1x60' }, after: '10m', labels: TOKEN },
    summary: 'HSM hosts of t in r end again and again',
    quiet: { [`strongroom_hsm_host_restarts_total{${ofToken}}`]: '0x20 1x20 2x60' },
  },
  StrongroomHsmSlow: {
    fires: buckets('strongroom_hsm_command_duration_seconds', gcm, '0.5', '0+0x80', '0+100x80'),
    ...{ after: '15m', labels: { ...TOKEN, mechanism: 'AES-256-GCM' } },
    summary: 'One in a hundred commands takes token t 995ms and more',
    quiet: buckets('strongroom_hsm_command_duration_seconds', gcm, '0.01', '0+1000x80', '0+1000x80'),
  },
  StrongroomHsmSaturated: {
    fires: {
      [`strongroom_hsm_command_duration_seconds_sum{${gcm}}`]: '0+28.5x120',
      [`strongroom_hsm_lanes{${ofToken}}`]: '2x120',
    },
    ...{ after: '20m', labels: TOKEN },
    summary: 'The hosts of token t in r are busy 95% of their time',
    quiet: {
      [`strongroom_hsm_command_duration_seconds_sum{${gcm}}`]: '0+20x120',
      [`strongroom_hsm_lanes{${ofToken}}`]: '2x120',
    },
  },
  StrongroomQueueFilling: {
    fires: {
      [`strongroom_hsm_commands_waiting{${FROM},region="r"}`]: '1500x30',
      [`strongroom_hsm_commands_limit{${FROM},region="r"}`]: '2000x30',
    },
    ...{ after: '3m', labels: REGION },
    summary: 'Half of the room for commands in r is taken by commands that wait',
    quiet: {
      [`strongroom_hsm_commands_waiting{${FROM},region="r"}`]: '900x80',
      [`strongroom_hsm_commands_limit{${FROM},region="r"}`]: '2000x80',
    },
  },
  StrongroomCommandsRefused: {
    fires: { [`strongroom_hsm_commands_refused_total{${FROM},region="r",reason="busy"}`]: '0+10x60' },
    ...{ after: '5m', labels: { ...REGION, reason: 'busy' } },
    summary: 'Commands in r are refused (busy)',
    quiet: { [`strongroom_hsm_commands_refused_total{${FROM},region="r",reason="busy"}`]: '7x80' },
  },
  StrongroomRequestsFailing: {
    ...{ fires: requests('0+98x80', '0+2x80'), after: '15m', labels: AT },
    summary: '2% of requests to a fail by our own fault',
    quiet: requests('0+1000x80', '0+1x80'),
  },
  StrongroomRequestsSlow: {
    fires: buckets(
      'strongroom_request_duration_seconds',
      `${FROM},operation="GenerateDataKey",outcome="ok"`,
      ...(['0.5', '0+0x120', '0+100x120'] as const),
    ),
    ...{ after: '20m', labels: { ...AT, operation: 'GenerateDataKey' } },
    summary: 'One in a hundred GenerateDataKey takes 995ms and more',
    quiet: buckets(
      'strongroom_request_duration_seconds',
      `${FROM},operation="CreateKey",outcome="ok"`,
      ...(['0.5', '0+0x120', '0+100x120'] as const),
    ),
  },
  StrongroomStrangers: {
    fires: {
      [`strongroom_requests_total{${FROM},operation="unknown",outcome="InvalidSignatureException",account="none"}`]:
        '0+90x120',
    },
    ...{ after: '20m', labels: AT },
    summary: 'Requests with unknown access keys or wrong signatures keep coming to a',
    quiet: {
      [`strongroom_requests_total{${FROM},operation="unknown",outcome="InvalidSignatureException",account="none"}`]:
        '0+3x120',
      [`strongroom_requests_total{${FROM},operation="Decrypt",outcome="ok",account="other"}`]: '0+9000x120',
    },
  },
  StrongroomRowsRefused: {
    fires: { [`strongroom_store_rows_refused_total{${FROM},table="keys"}`]: '_x4 1x10' },
    ...{ after: '2m', labels: { ...AT, table: 'keys' } },
    summary: 'Records of keys were changed by other means than Strongroom',
    quiet: { [`strongroom_store_rows_verified_total{${FROM}}`]: '0+16x80' },
  },
  StrongroomHbksMissing: {
    ...{ fires: { [`strongroom_hsm_missing_hbks{${ofToken}}`]: '2x20' }, after: '1m', labels: TOKEN },
    summary: 'Token t of r lacks 2 HBKs that records name',
    quiet: { [`strongroom_hsm_missing_hbks{${ofToken}}`]: '0x80' },
  },
  StrongroomTaskLate: {
    ...{ fires: task('0x240'), after: '20m', labels: { ...AT, task: 'rotate due keys' } },
    summary: 'The task "rotate due keys" has not ended well for 20m 0s',
    quiet: task('0+15x240'),
  },
  StrongroomStoreBusy: {
    fires: {
      [`strongroom_store_transaction_wait_seconds_bucket{${FROM},outcome="committed",le="1"}`]: '0x80',
      [`strongroom_store_transaction_wait_seconds_bucket{${FROM},outcome="committed",le="5"}`]: '0+100x80',
      [`strongroom_store_transaction_wait_seconds_bucket{${FROM},outcome="committed",le="+Inf"}`]: '0+100x80',
    },
    ...{ after: '15m', labels: AT },
    summary: 'Transactions wait 4.96s for the key store',
    quiet: {
      [`strongroom_store_transaction_wait_seconds_bucket{${FROM},outcome="committed",le="1"}`]: '0+100x80',
      [`strongroom_store_transaction_wait_seconds_bucket{${FROM},outcome="committed",le="+Inf"}`]: '0+100x80',
    },
  },
  StrongroomStoreUnseen: {
    ...{ fires: { [`strongroom_store_view_age_seconds{${FROM}}`]: '0x4 0+15x40' }, after: '5m', labels: AT },
    summary: 'a has not seen for 3m 45s what others change in the key store, and refuses requests',
    quiet: { [`strongroom_store_view_age_seconds{${FROM}}`]: '0.4x80' },
  },
  StrongroomStoreNotWritable: {
    ...{ fires: { [`strongroom_store_writable{${FROM}}`]: '0x20' }, after: '2m', labels: AT },
    summary: 'The key store of a takes no changes, and what would change it is refused',
    quiet: { [`strongroom_store_writable{${FROM}}`]: '1x4 0x2 1x80' },
  },
  StrongroomWalLarge: {
    fires: { [`strongroom_store_file_bytes{${FROM},file="wal"}`]: '2147483648x80' },
    ...{ after: '15m', labels: { ...AT, file: 'wal' } },
    summary: 'The WAL of the key store holds 2GiB and is not folded into the file',
    quiet: {
      [`strongroom_store_file_bytes{${FROM},file="wal"}`]: '4194304x80',
      [`strongroom_store_file_bytes{${FROM},file="database"}`]: '2147483648x80',
    },
  },
  StrongroomAuditNotWritable: {
    ...{ fires: { [`strongroom_audit_writable{${FROM}}`]: '0x20' }, after: '1m', labels: AT },
    summary: 'a cannot record events, and refuses what needs recording',
    quiet: { [`strongroom_audit_writable{${FROM}}`]: '1x80' },
  },
  StrongroomAuditUncovered: {
    ...{ fires: { [`strongroom_audit_covered_timestamp_seconds{${FROM}}`]: '0x40' }, after: '5m', labels: AT },
    summary: 'No checkpoint of the audit log of a was signed for 5m 0s',
    quiet: { [`strongroom_audit_covered_timestamp_seconds{${FROM}}`]: '0+15x80' },
  },
  StrongroomAuditUnstored: {
    ...{ fires: { [`strongroom_audit_unstored_bytes{${FROM}}`]: '67108864x40' }, after: '5m', labels: AT },
    summary: 'The key store of a lacks 64MiB of the audit log',
    quiet: { [`strongroom_audit_unstored_bytes{${FROM}}`]: '2097152x80' },
  },
  StrongroomAuditForwardLag: {
    fires: { [`strongroom_audit_forward_lag_bytes{${FROM},sink="syslog"}`]: '67108864x80' },
    ...{ after: '15m', labels: { ...AT, sink: 'syslog' } },
    summary: '64MiB of the audit log of a wait for syslog',
    quiet: { [`strongroom_audit_forward_lag_bytes{${FROM},sink="syslog"}`]: '67108864x20 0x60' },
  },
  StrongroomAuditDiskFilling: {
    fires: {
      [`strongroom_audit_disk_bytes{${FROM},what="size"}`]: '1000000000x80',
      [`strongroom_audit_disk_bytes{${FROM},what="free"}`]: '50000000x80',
    },
    ...{ after: '15m', labels: AT },
    summary: 'The disk of the audit log of a is full soon',
    quiet: {
      [`strongroom_audit_disk_bytes{${FROM},what="size"}`]: '1000000000x80',
      [`strongroom_audit_disk_bytes{${FROM},what="free"}`]: '500000000-1000x80',
    },
  },
  StrongroomRefusalsCounted: {
    ...{ fires: { [`strongroom_audit_refusals_counted_total{${FROM}}`]: '0+100x120' }, after: '20m', labels: AT },
    summary: 'More unproven requests come to a than are recorded one by one',
    quiet: { [`strongroom_audit_refusals_counted_total{${FROM}}`]: '0x10 50x70' },
  },
  StrongroomCertificateEnds: {
    fires: { [`strongroom_certificate_not_after_timestamp_seconds{${FROM}}`]: '864060x20' },
    ...{ after: '1m', labels: AT },
    summary: 'The certificate of a ends in 10d 0h 0m 0s',
    quiet: { [`strongroom_certificate_not_after_timestamp_seconds{${FROM}}`]: '0x80' },
  },
  StrongroomEventLoopBlocked: {
    ...{ fires: { [`strongroom_nodejs_eventloop_lag_p99_seconds{${FROM}}`]: '0.5x80' }, after: '10m', labels: AT },
    summary: 'The service process of a has no time for what is due',
    quiet: { [`strongroom_nodejs_eventloop_lag_p99_seconds{${FROM}}`]: '0.02x20 0.5x4 0.02x60' },
  },
  StrongroomMemory: {
    fires: { [`strongroom_process_resident_memory_bytes{${FROM}}`]: '2147483648x80' },
    ...{ after: '15m', labels: AT },
    summary: 'The service process of a holds 2GiB',
    quiet: { [`strongroom_process_resident_memory_bytes{${FROM}}`]: '1073741824x80' },
  },
}
