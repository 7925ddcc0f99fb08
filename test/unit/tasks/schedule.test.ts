/** Tasks that run again and again, and what is told of them. */
import { describe, expect, it } from '@jest/globals'
import { schedule } from '../../../src/tasks/schedule.ts'
import { createLogger } from '../../../src/telemetry/logger.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'
import { waitUntil } from '../../support/processes.ts'

const PATIENCE_MS = 20_000
const task = 'delete due keys'

async function sampleOf(metrics: Metrics, name: string, labels: Record<string, string>): Promise<number | undefined> {
  const metric = (await metrics.registry.getMetricsAsJSON()).find(each => each.name === `strongroom_${name}`)
  const fits = (of: object) => Object.entries(labels).every(([label, value]) => Reflect.get(of, label) === value)
  return metric?.values.find(value => fits(value.labels))?.value
}

describe('schedule', () => {
  it('goes on after a run that failed, and says in the metrics when one last ended well', async () => {
    const metrics = new Metrics()
    const lines: unknown[] = []
    const logger = {
      ...createLogger('error'),
      error: (event: string, fields: object) => lines.push({ event, ...fields }),
    }
    let runs = 0
    const startedAt = Date.now() / 1_000
    const job = async () => {
      runs += 1
      if (runs === 1) throw new Error('the first one fails')
    }
    const running = schedule(task, 5, job, { metrics, logger: logger as never })
    const lastSuccess = () => sampleOf(metrics, 'task_last_success_timestamp_seconds', { task })
    const first = await lastSuccess()
    expect(first).toBeGreaterThanOrEqual(Math.floor(startedAt))
    await waitUntil(
      async () => ((await sampleOf(metrics, 'task_runs_total', { task, outcome: 'done' })) ?? 0) >= 2,
      PATIENCE_MS,
    )
    await running.stop()
    expect(await sampleOf(metrics, 'task_runs_total', { task, outcome: 'failed' })).toBe(1)
    expect(lines).toEqual([{ event: 'task failed', task, error: expect.any(Error) }])
    expect(await sampleOf(metrics, 'task_interval_seconds', { task })).toBe(0.005)
    expect(await lastSuccess()).toBeGreaterThanOrEqual(first!)
  })

  it('leaves the last success where it was while every run fails', async () => {
    const metrics = new Metrics()
    const logger = { ...createLogger('error'), error: () => {} }
    const job = () => Promise.reject(new Error('it never works'))
    const running = schedule(task, 5, job, { metrics, logger: logger as never })
    const lastSuccess = () => sampleOf(metrics, 'task_last_success_timestamp_seconds', { task })
    const first = await lastSuccess()
    await waitUntil(
      async () => ((await sampleOf(metrics, 'task_runs_total', { task, outcome: 'failed' })) ?? 0) >= 3,
      PATIENCE_MS,
    )
    await running.stop()
    expect(await lastSuccess()).toBe(first)
    expect(await sampleOf(metrics, 'task_runs_total', { task, outcome: 'done' })).toBe(0)
  })
})
