/** What a pool tells of its tokens, which come and go. */
import { describe, expect, it } from '@jest/globals'
import { PoolMetrics } from '../../../../src/hsm/pool/pool-metrics.ts'
import { Metrics } from '../../../../src/telemetry/metrics.ts'

const member = (label: string, state = 'healthy') =>
  ({ label, state, inFlight: 0, pids: [1], lanes: [], sum: () => 0 }) as never
const figures = { waiting: 0, limit: 10, ready: true }

async function series(metrics: Metrics, name: string): Promise<string[]> {
  const lines = (await metrics.registry.getSingleMetricAsString(`strongroom_${name}`)).split('\n')
  return lines.filter(line => !line.startsWith('#')).map(line => line.replace(`strongroom_${name}`, ''))
}

describe('the metrics of a pool', () => {
  it('have what may happen to a token at nought, before anything has', async () => {
    const metrics = new Metrics()
    new PoolMetrics(metrics, 'r', ['one']).report([member('one'), member('two')], figures)
    expect(await series(metrics, 'hsm_command_failovers_total')).toEqual([
      '{region="r",token="one"} 0',
      '{region="r",token="two"} 0',
    ])
    expect(await series(metrics, 'hsm_commands_refused_total')).toEqual([
      '{region="r",reason="busy"} 0',
      '{region="r",reason="unavailable"} 0',
    ])
  })

  it('say nothing more of a token that has left, but what it did', async () => {
    const metrics = new Metrics()
    const pool = new PoolMetrics(metrics, 'r', ['one', 'two'])
    pool.report([member('one'), member('two', 'open')], figures)
    expect(await series(metrics, 'hsm_hosts')).toHaveLength(2)
    pool.restarted(member('two'))
    pool.report([member('one')], figures)
    expect(await series(metrics, 'hsm_hosts')).toEqual(['{region="r",token="one"} 1'])
    const states = await series(metrics, 'hsm_token_state')
    expect(states.filter(line => line.includes('two'))).toEqual([])
    expect(states).toContain('{region="r",token="one",state="healthy"} 1')
    expect(await series(metrics, 'hsm_host_restarts_total')).toContain('{region="r",token="two"} 1')
  })

  it('count a command that another token had failed before', async () => {
    const metrics = new Metrics()
    const pool = new PoolMetrics(metrics, 'r', ['one', 'two'])
    const errand = { name: 'encrypt', args: {}, startedAtMs: 0 }
    pool.answered(member('one'), { ...errand, lastFault: undefined } as never, 100, 1)
    pool.answered(member('one'), { ...errand, lastFault: { label: 'one', reason: 'again' } } as never, 100, 1)
    pool.answered(member('one'), { ...errand, lastFault: { label: 'two', reason: 'gone' } } as never, 100, 1)
    expect(await series(metrics, 'hsm_command_failovers_total')).toContain('{region="r",token="one"} 1')
    const counts = await series(metrics, 'hsm_command_duration_seconds')
    expect(counts).toContain('_count{region="r",token="one",command="encrypt",mechanism="AES-256-GCM"} 3')
  })
})
