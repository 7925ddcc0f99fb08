/** What is measured, and what one measurement gives. */

export const OPERATIONS = ['GenerateDataKey', 'Encrypt', 'Decrypt'] as const
export type Operation = (typeof OPERATIONS)[number]

export const SERVERS = ['raw', 'daemon', 'naive'] as const
export type ServerName = (typeof SERVERS)[number]

/** The plaintext of Encrypt and Decrypt: the size of a data key, so that all three operations seal the same bytes. */
export const PLAINTEXT_BYTES = 32

/** Requests that differ, sent in turn: a server that cached answers by their bytes would be found out. */
export const VARIANTS = 64

/** One measurement: operations that were done, and the CPU time that all processes of the server took for them. */
export interface Sample {
  readonly operations: number
  readonly opsPerSec: number
  /** CPU microseconds for one operation, user and system, over all processes of the server. */
  readonly cpuUs: number
  /** How {@link cpuUs} is split, for a server with HSM hosts. */
  readonly serviceCpuUs?: number
  readonly hostsCpuUs?: number
  /** CPU microseconds of the load generator for one operation; not part of {@link cpuUs}. */
  readonly loadCpuUs?: number
}

/** A sample, and how quiet the machine was: the share of it that neither the server nor its load used. */
export interface Measurement extends Sample {
  readonly othersCpuPercent: number
}

/** Something that can be measured. Each keeps its own token and its own processes until it is disposed of. */
export interface Server extends AsyncDisposable {
  readonly name: ServerName
  measure(operation: Operation, seconds: number): Promise<Sample>
}
