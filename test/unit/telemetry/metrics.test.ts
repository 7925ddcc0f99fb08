/** Series that are kept by who observes them, and labels whose number is bounded. */
import { describe, expect, it } from '@jest/globals'
import { Histogram, Registry } from 'prom-client'
import { AccountLabels } from '../../../src/telemetry/account-labels.ts'
import { LATENCY_BUCKETS_SECONDS } from '../../../src/telemetry/latency-histogram.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'

const SECONDS = [0, 0.0001, 0.00011, 0.003, 0.003, 0.25, 30, 30.5, 1_000]

/** The lines of one metric without its help. */
async function linesOf({ registry }: Metrics, name: string): Promise<string[]> {
  const text = await registry.getSingleMetricAsString(name)
  return text.split('\n').filter(line => !line.startsWith('# HELP'))
}

describe('a histogram of latencies', () => {
  it("says what prom-client's own says of the same observations", async () => {
    const metrics = new Metrics()
    const name = 'strongroom_request_duration_seconds'
    const registers = [new Registry()]
    const labelNames = ['operation', 'outcome']
    const theirs = new Histogram({ name, help: '-', labelNames, buckets: [...LATENCY_BUCKETS_SECONDS], registers })
    for (const operation of ['Sign', 'Verify']) {
      const labels = { operation, outcome: 'ok' }
      const kept = metrics.requestSeconds.labels(labels)
      for (const seconds of SECONDS) {
        theirs.observe(labels, seconds)
        kept.observe(seconds)
      }
    }
    const text = await registers[0]!.getSingleMetricAsString(name)
    const sorted = (lines: string[]) =>
      lines.map(line => line.replace(/\{(.*)\}/, (_, labels) => `{${labels.split(',').sort()}}`))
    const expected = text.split('\n').filter(line => !line.startsWith('# HELP'))
    expect(expected.length).toBeGreaterThan(2 * LATENCY_BUCKETS_SECONDS.length)
    expect(sorted(await linesOf(metrics, name))).toEqual(sorted(expected))
  })

  it('has one series for the same labels, whoever asks', async () => {
    const metrics = new Metrics()
    const labels = { region: 'on-prem-1' }
    expect(metrics.waitSeconds.labels(labels)).toBe(metrics.waitSeconds.labels({ ...labels }))
    expect(metrics.waitSeconds.labels({ region: 'on-prem-2' })).not.toBe(metrics.waitSeconds.labels(labels))
  })
})

describe('a tally', () => {
  it('is added to its counter when that is read, once', async () => {
    const metrics = new Metrics()
    const labels = { operation: 'Sign', outcome: 'ok', account: 'none' }
    const [one, another] = [metrics.requests.labels(labels), metrics.requests.labels(labels)]
    one.add()
    one.add()
    another.add()
    metrics.requests.inc(labels)
    const line = 'strongroom_requests_total{operation="Sign",outcome="ok",account="none"} '
    expect(await linesOf(metrics, 'strongroom_requests_total')).toContain(`${line}4`)
    one.add()
    expect(await linesOf(metrics, 'strongroom_requests_total')).toContain(`${line}5`)
  })
})

describe('labels of accounts', () => {
  it('are as many as an operator allows, for good, and one for the rest', () => {
    const labels = new AccountLabels(2)
    expect(['1', '2', '3', '2', '4', '1'].map(account => labels.of(account))).toEqual([
      '1',
      '2',
      'other',
      '2',
      'other',
      '1',
    ])
    expect(labels.of(undefined)).toBe('none')
    expect(new AccountLabels(0).of('1')).toBe('other')
  })
})

describe('metrics', () => {
  it('have names of one kind: base units, and _total for what only grows', () => {
    const named = new Metrics().registry.getMetricsAsArray().filter(({ name }) => !/_(?:process|nodejs)_/.test(name))
    for (const { name, type } of named) {
      expect(name).toMatch(/^strongroom_[a-z_]+[a-z]$/)
      expect({ name, total: name.endsWith('_total') }).toEqual({ name, total: String(type) === 'counter' })
      if (String(type) === 'histogram') expect(name).toMatch(/_seconds$/)
      expect(name).not.toMatch(/_(?:ms|milliseconds|mb|kb)$/)
    }
  })
})
