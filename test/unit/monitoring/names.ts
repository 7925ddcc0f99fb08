/** The names of metrics: those that a query asks for, and those that a daemon serves. */
import { Metrics } from '../../../src/telemetry/metrics.ts'

/** Metrics of ours in PromQL, recorded ones included. */
export function metricNamesIn(text: string): string[] {
  return text.match(/\b(?:[a-z_]+:)?strongroom_[a-z0-9_]+(?::[a-z0-9_]+)?\b/g) ?? []
}

/** Every name that a scrape may have: a histogram's three, and the metric's own for the rest. */
export async function servedNames(): Promise<string[]> {
  const metrics = new Metrics().registry.getMetricsAsArray()
  return metrics.flatMap(({ name, type }) =>
    String(type) === 'histogram' ? ['_bucket', '_sum', '_count'].map(end => name + end) : [name],
  )
}
