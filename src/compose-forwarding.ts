/** Builds what passes the audit log on to elsewhere: the first process does so for all, from the files that each of them writes. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { Forwarder, type Sink } from './audit/forwarder.ts'
import { httpSink } from './audit/http-sink.ts'
import { listLogFiles, readLogFileName } from './audit/log-files.ts'
import { syslogSink } from './audit/syslog-sink.ts'
import { NotReady } from './compose-pools.ts'
import type { Configuration } from './config/schema.ts'
import type { StoredAudit } from './store/stored-audit.ts'
import { schedule } from './tasks/schedule.ts'
import type { Logger } from './telemetry/logger.ts'
import type { Metrics } from './telemetry/metrics.ts'

/** Disposing of it sends what is there. */
export interface Forwarding extends AsyncDisposable {
  /** Brings the gauges up to date, for a scrape. */
  report(): void
}

export interface ForwardingParts {
  readonly folder: string
  readonly settings: Configuration['audit']['forward']
  /** Service processes that write; none where the first process does all. */
  readonly processes: number
  readonly stored: StoredAudit
  readonly metrics: Metrics
  readonly logger: Logger
}

const FORWARD_MS = 500

/** Throws {@link NotReady} when a file that the settings name cannot be read. */
export async function composeForwarding(parts: ForwardingParts): Promise<Forwarding> {
  const { folder, settings, processes, stored, metrics, logger } = parts
  // Of the daemon before, which may have had more of them, lines may still wait.
  const waiting = (await listLogFiles(folder)).flatMap(path => readLogFileName(path).process ?? [])
  const numbers = new Set([undefined, ...Array.from({ length: processes }, (_, at) => at + 1), ...waiting])
  const sinks = destinationsOf(settings).map(({ name, open }) => {
    const onTrouble = (process: number | undefined, error: Error | undefined) => {
      const facts = { sink: name, ...(process === undefined ? {} : { process }) }
      if (error === undefined) return logger.info('audit events are forwarded again', facts)
      metrics.auditFailures.inc({ part: name })
      const reason = error.message
      logger.warn('audit events are not forwarded: they wait in the files of the log', { ...facts, reason })
    }
    const forwarders = [...numbers].map(
      process =>
        new Forwarder({
          ...{ folder, process, sink: open(), storage: stored },
          onTrouble: error => onTrouble(process, error),
        }),
    )
    const run = (options = {}) => Promise.all(forwarders.map(forwarder => forwarder.run(options)))
    const running = schedule(`forward audit events by ${name}` as const, FORWARD_MS, () => run(), { logger, metrics })
    return { name, forwarders, run, running }
  })
  return {
    report() {
      for (const { name, forwarders } of sinks) {
        const lagBytes = forwarders.reduce((sum, forwarder) => sum + forwarder.lagBytes, 0)
        metrics.auditForwardLagBytes.set({ sink: name }, lagBytes)
      }
    },
    async [Symbol.asyncDispose]() {
      for (const { forwarders, run, running } of sinks) {
        await running.stop()
        await run({ confirm: true })
        for (const forwarder of forwarders) forwarder.close()
      }
    },
  }
}

/** Where lines go to, with a connection of its own for each process whose lines they are. */
interface Destination {
  readonly name: Sink['name']
  open(): Sink
}

/** Reads the files that the settings name. Throws {@link NotReady} when one cannot be read. */
function destinationsOf({ syslog, http }: Configuration['audit']['forward']): Destination[] {
  const { host, port } = syslog
  const destinations: Destination[] = []
  if (host !== '') {
    const options = {
      ...{ host, port, servername: isIP(host) === 0 ? host : '' },
      ...certificates({ ca: syslog.caFile, cert: syslog.certificateFile, key: syslog.keyFile }),
    }
    destinations.push({ name: 'syslog', open: () => syslogSink(options) })
  }
  if (http.url !== '') {
    const bearer = read(http.tokenFile)?.toString('utf8').trim()
    const options = certificates({ ca: http.caFile })
    destinations.push({ name: 'http', open: () => httpSink(new URL(http.url), bearer, options) })
  }
  return destinations
}

function certificates(files: Readonly<Record<string, string>>): Record<string, Buffer> {
  return Object.fromEntries(
    Object.entries(files).flatMap(([name, path]) => {
      const pem = read(path)
      return pem === undefined ? [] : [[name, pem] as const]
    }),
  )
}

function read(path: string): Buffer | undefined {
  if (path === '') return undefined
  try {
    return readFileSync(path)
  } catch (error) {
    throw new NotReady(`audit.forward: cannot read ${path}: ${(error as NodeJS.ErrnoException).code}`)
  }
}
