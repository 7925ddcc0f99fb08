/** Builds what passes the audit log on to elsewhere: the first process does so for all, from the files that each of them writes. */
import { readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { Forwarder, type Sink } from './audit/forwarder.ts'
import { httpSink } from './audit/http-sink.ts'
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
  readonly stored: StoredAudit
  readonly metrics: Metrics
  readonly logger: Logger
}

const FORWARD_MS = 500

/** Throws {@link NotReady} when a file that the settings name cannot be read. */
export function composeForwarding({ folder, settings, stored, metrics, logger }: ForwardingParts): Forwarding {
  const forwarders = sinksOf(settings).map(
    sink =>
      new Forwarder({
        ...{ folder, sink, storage: stored },
        onTrouble(error) {
          if (error === undefined) return logger.info('audit events are forwarded again', { sink: sink.name })
          metrics.auditFailures.inc({ part: sink.name })
          logger.warn('audit events are not forwarded: they wait in the files of the log', {
            ...{ sink: sink.name, reason: error.message },
          })
        },
      }),
  )
  const forwarding = forwarders.map(forwarder =>
    schedule(`forward audit events by ${forwarder.sink}` as const, FORWARD_MS, () => forwarder.run(), {
      logger,
      metrics,
    }),
  )
  return {
    report() {
      for (const { sink, lagBytes } of forwarders) metrics.auditForwardLagBytes.set({ sink }, lagBytes)
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(forwarding.map(each => each.stop()))
      for (const forwarder of forwarders) {
        await forwarder.run()
        forwarder.close()
      }
    },
  }
}

/** Reads the files that the settings name. Throws {@link NotReady} when one cannot be read. */
function sinksOf({ syslog, http }: Configuration['audit']['forward']): Sink[] {
  const { host, port } = syslog
  const bearer = read(http.tokenFile)?.toString('utf8').trim()
  return [
    ...(host === ''
      ? []
      : [
          syslogSink({
            ...{ host, port, servername: isIP(host) === 0 ? host : '' },
            ...certificates({ ca: syslog.caFile, cert: syslog.certificateFile, key: syslog.keyFile }),
          }),
        ]),
    ...(http.url === '' ? [] : [httpSink(new URL(http.url), bearer, certificates({ ca: http.caFile }))]),
  ]
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
