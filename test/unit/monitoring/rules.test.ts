/** The recording and alerting rules, as promtool runs them, and the sections that say what to do about an alert. */
import { execFile } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, describe, expect, it } from '@jest/globals'
import { parse, stringify } from 'yaml'
import { makeFolder } from '../../support/tokens.ts'
import { ALERT_CASES } from './alerts.ts'
import { metricNamesIn, servedNames } from './names.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const RULES = `${ROOT}config/prometheus/strongroom.rules.yaml`
const PROMTOOL = '/usr/bin/promtool'
/** Prometheus' own engine evaluates every rule over the minutes of each alert's case. */
const PATIENCE_MS = 300_000
const EVALUATED_EVERY = '30s'
/** As long as any alert takes. */
const QUIET_MINUTES = 20

interface Rule {
  readonly record?: string
  readonly alert?: string
  readonly expr: string
  readonly labels?: { readonly severity?: string }
  readonly annotations?: { readonly summary?: string; readonly runbook?: string }
}

const { groups } = parse(readFileSync(RULES, 'utf8')) as { groups: { rules: Rule[] }[] }
const rules = groups.flatMap(group => group.rules)
const alerts = rules.filter((rule): rule is Rule & { alert: string } => rule.alert !== undefined)
const folder = makeFolder()
afterAll(() => folder.remove())

/** Runs promtool to its end. Returns what it says when it finds fault, and nothing otherwise. */
function complaints(args: readonly string[]): Promise<string> {
  return new Promise(resolve => {
    execFile(PROMTOOL, args, (error, stdout, stderr) =>
      resolve(error === null ? '' : `${error.code} ${stdout}${stderr}`),
    )
  })
}

/** What promtool has to say against these tests of the rules. */
function complaintsAbout(tests: readonly object[]): Promise<string> {
  const file = join(folder.path, `${randomUUID()}.yaml`)
  writeFileSync(file, stringify({ rule_files: [RULES], evaluation_interval: EVALUATED_EVERY, tests }))
  return complaints(['test', 'rules', file])
}

const seriesOf = (input: Readonly<Record<string, string>>) =>
  Object.entries(input).map(([series, values]) => ({ series, values }))

function firing(alert: string, summary = ALERT_CASES[alert]?.summary): object {
  const { fires, after, labels } = ALERT_CASES[alert]!
  const { severity } = alerts.find(rule => rule.alert === alert)!.labels!
  const annotations = { summary, runbook: `docs/monitoring.md#${alert.toLowerCase()}` }
  const expected = [{ exp_labels: { ...labels, severity }, exp_annotations: annotations }]
  const alertTest = [{ eval_time: after, alertname: alert, exp_alerts: expected }]
  return { interval: '15s', input_series: seriesOf(fires), alert_rule_test: alertTest }
}

/** All that is quiet at once, each from a daemon of its own: nothing is said at any time. */
function quiet(): object {
  const series = alerts.flatMap(({ alert }) =>
    seriesOf(ALERT_CASES[alert]!.quiet).map(each => ({ ...each, series: each.series.replace('"a"', `"${alert}"`) })),
  )
  const moments = Array.from({ length: QUIET_MINUTES * 2 }, (_, at) => `${at * 30 + 30}s`)
  const alertTest = alerts.flatMap(({ alert }) =>
    moments.map(time => ({ eval_time: time, alertname: alert, exp_alerts: [] })),
  )
  return { interval: '15s', input_series: series, alert_rule_test: alertTest }
}

describe('the rules', () => {
  it('and the example that names them are accepted by Prometheus', async () => {
    expect(await complaints(['check', 'rules', RULES])).toBe('')
    expect(await complaints(['check', 'config', `${ROOT}config/prometheus/prometheus.yaml`])).toBe('')
  })

  it('ask for metrics that there are', async () => {
    const recorded = rules.flatMap(({ record }) => record ?? [])
    const known = new Set([...(await servedNames()), ...recorded])
    const asked = rules.flatMap(({ expr }) => metricNamesIn(expr))
    expect(asked.length).toBeGreaterThan(rules.length)
    expect(asked.filter(name => !known.has(name))).toEqual([])
  })

  it('record what somebody asks for', async () => {
    const dashboard = readFileSync(`${ROOT}config/grafana/strongroom.json`, 'utf8')
    const asked = [...rules.flatMap(({ expr }) => metricNamesIn(expr)), ...metricNamesIn(dashboard)]
    for (const { record } of rules) if (record !== undefined) expect(asked).toContain(record)
  })

  it('work out failures and the use of lanes', async () => {
    const from = 'job="strongroom",instance="a"'
    const input = {
      [`strongroom_request_duration_seconds_count{${from},operation="Sign",outcome="ok"}`]: '0+90x40',
      [`strongroom_request_duration_seconds_count{${from},operation="Sign",outcome="failed"}`]: '0+10x40',
      [`strongroom_hsm_command_duration_seconds_sum{${from},region="r",token="t",command="sign",mechanism="m"}`]:
        '0+6x40',
      [`strongroom_hsm_lanes{${from},region="r",token="t"}`]: '4x40',
    }
    const sample = (expr: string, labels: string, value: number) => ({
      ...{ expr, eval_time: '10m' },
      exp_samples: [{ labels, value }],
    })
    const name = 'operation_outcome:strongroom_requests:rate5m'
    const expected = [
      sample(
        'instance:strongroom_request_failures:ratio5m',
        `instance:strongroom_request_failures:ratio5m{${from}}`,
        0.1,
      ),
      sample(`${name}{outcome="ok"}`, `${name}{${from},operation="Sign",outcome="ok"}`, 6),
      sample('token:strongroom_hsm_lanes:utilisation5m * 10', `{${from},region="r",token="t"}`, 1),
    ]
    expect(
      await complaintsAbout([{ interval: '15s', input_series: seriesOf(input), promql_expr_test: expected }]),
    ).toBe('')
  })
})

describe('the alerts', () => {
  it('have a case each', () => {
    expect(alerts.map(({ alert }) => alert).toSorted()).toEqual(Object.keys(ALERT_CASES).toSorted())
  })

  it('say how bad it is, and where it stands what to do', () => {
    const sections = readFileSync(`${ROOT}docs/monitoring.md`, 'utf8').match(/^### (Strongroom\w+)$/gm)
    for (const { alert, labels, annotations } of alerts) {
      expect(['warning', 'critical']).toContain(labels?.severity)
      expect(annotations?.runbook).toBe(`docs/monitoring.md#${alert.toLowerCase()}`)
    }
    expect(sections?.map(heading => heading.slice(4))).toEqual(alerts.map(({ alert }) => alert))
  })

  it(
    'fire when they should, and not otherwise',
    async () => {
      const tests = alerts.map(({ alert }) => firing(alert))
      expect(await complaintsAbout([...tests, quiet()])).toBe('')
    },
    PATIENCE_MS,
  )

  it('are held against what they say', async () => {
    expect(await complaintsAbout([firing('StrongroomDown', 'something else')])).toContain('alertname: StrongroomDown,')
  })
})
