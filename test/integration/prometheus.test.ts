/** A daemon under a real Prometheus: it takes the rules, and every panel of the dashboard has something to show. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { waitUntil } from '../support/processes.ts'
import { type Prometheus, startPrometheus } from '../support/prometheus.ts'
import { type Sandbox, startSandbox } from '../support/sandbox.ts'
import { makeFolder } from '../support/tokens.ts'
import { metricNamesIn } from '../unit/monitoring/names.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const RULES = `${ROOT}config/prometheus/strongroom.rules.yaml`
/** Prometheus looks every two seconds; a busy machine may take a while to have done what is waited for. */
const PATIENCE_MS = 240_000
const WINDOW = '5m'

interface Panel {
  readonly title: string
  readonly targets?: readonly { readonly expr: string }[]
}

const { panels } = JSON.parse(readFileSync(`${ROOT}config/grafana/strongroom.json`, 'utf8')) as { panels: Panel[] }
const queries = panels.flatMap(({ title, targets = [] }) => targets.map(({ expr }) => ({ title, expr })))

/** The query as Grafana sends it when all daemons, regions and tokens are chosen. */
const filledIn = (expr: string) =>
  expr.replaceAll('$__rate_interval', WINDOW).replaceAll(/\$(?:instance|region|token)/g, '.*')

const folder = makeFolder()
let sandbox: Sandbox
let prometheus: Prometheus
let kms: KMS

beforeAll(async () => {
  sandbox = await startSandbox({ settings: { hsm: { healthIntervalMs: 1_000 } } })
  kms = sandbox.client()
  prometheus = await startPrometheus(folder.path, new URL(sandbox.description.adminEndpoint).host, RULES)
}, PATIENCE_MS)

afterAll(async () => {
  await prometheus?.stop()
  await sandbox?.stop()
  folder.remove()
}, PATIENCE_MS)

/** Some requests of several kinds, one of them refused. */
async function call(KeyId: string): Promise<void> {
  await kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })
  await kms.encrypt({ KeyId, Plaintext: Buffer.from('x') })
  await kms.updateKeyDescription({ KeyId, Description: 'changed' })
  await kms.describeKey({ KeyId: 'alias/absent' }).catch(() => undefined)
}

describe('Prometheus', () => {
  it(
    'answers every query of the dashboard, each with a series',
    async () => {
      const KeyId = (await kms.createKey({})).KeyMetadata!.KeyId!
      let missing: readonly { title: string; expr: string }[] = queries
      // A rate takes two scrapes between which something was done.
      await waitUntil(async () => {
        await call(KeyId)
        const answers = await Promise.all(missing.map(({ expr }) => prometheus.query(filledIn(expr))))
        missing = missing.filter((_, at) => answers[at]?.length === 0)
        return missing.length === 0
      }, PATIENCE_MS - 20_000).catch(() => undefined)
      expect(queries.length).toBeGreaterThan(40)
      expect(missing).toEqual([])
      expect(filledIn(queries.map(({ expr }) => expr).join())).not.toContain('$')
    },
    PATIENCE_MS,
  )

  it(
    'evaluates every rule, and has no alert that cries',
    async () => {
      interface Rule {
        readonly name: string
        readonly type: 'alerting' | 'recording'
        readonly health: string
        readonly state?: string
        /** Seconds for which it waits before it fires. */
        readonly duration?: number
        readonly labels?: { readonly severity?: string }
      }
      const read = async () => (await prometheus.get('/rules')) as { groups: { rules: Rule[] }[] }
      const rules = async () => (await read()).groups.flatMap(group => group.rules)
      await waitUntil(async () => (await rules()).every(({ health }) => health !== 'unknown'), PATIENCE_MS / 3)
      const evaluated = await rules()
      expect(evaluated.filter(({ health }) => health !== 'ok')).toEqual([])
      // The others wait for a fault to last, and may see a busy machine as one.
      const atOnce = evaluated.filter(({ duration, labels }) => duration === 0 && labels?.severity === 'critical')
      expect(atOnce.map(({ name, state }) => [name, state])).toEqual([
        ['StrongroomTokenLockedOut', 'inactive'],
        ['StrongroomRowsRefused', 'inactive'],
        ['StrongroomHbksMissing', 'inactive'],
        ['StrongroomAuditNotWritable', 'inactive'],
      ])
      // A scrape that came too late leaves a gap in what is recorded.
      let missing = evaluated.filter(({ type }) => type === 'recording').map(({ name }) => name)
      expect(missing.length).toBeGreaterThan(0)
      await waitUntil(
        async () => {
          const answers = await Promise.all(missing.map(name => prometheus.query(name)))
          missing = missing.filter((_, at) => answers[at]?.length === 0)
          return missing.length === 0
        },
        PATIENCE_MS / 3,
        () => `nothing recorded: ${missing}`,
      )
    },
    PATIENCE_MS,
  )

  it('knows no metric of ours that the documents do not', async () => {
    const pages = readFileSync(`${ROOT}docs/metrics.md`, 'utf8')
    const names = (await prometheus.get('/label/__name__/values')) as string[]
    const ours = names.filter(name => name.startsWith('strongroom_'))
    expect(ours.length).toBeGreaterThan(50)
    const documented = (name: string) => pages.includes(`| \`${name.replace(/_(?:bucket|sum|count)$/, '')}\` |`)
    expect(ours.filter(name => !documented(name))).toEqual([])
  })
})

describe('the dashboard', () => {
  it('asks for nothing that no rule records and no daemon serves', async () => {
    const names = (await prometheus.get('/label/__name__/values')) as string[]
    const asked = queries.flatMap(({ expr }) => metricNamesIn(expr))
    // These have no series before their first event, or where nothing is forwarded.
    expect([...new Set(asked)].filter(name => !names.includes(name)).toSorted()).toEqual([
      'strongroom_audit_forward_lag_bytes',
      'strongroom_requests_throttled_total',
      'strongroom_store_rows_refused_total',
    ])
  })

  it('has a description and a place for every panel', () => {
    for (const panel of panels as (Panel & { type: string; description?: string })[])
      if (panel.type !== 'row') expect(panel).toMatchObject({ description: expect.stringMatching(/\.$/) })
    const ids = panels.map(panel => (panel as Panel & { id: number }).id)
    expect(new Set(ids).size).toBe(panels.length)
  })
})
