/** A Prometheus of the test's own: Debian's, headless, with its data in a temporary folder. */
import { spawn } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { stringify } from 'yaml'

const PROMETHEUS = '/usr/bin/prometheus'
const STARTS = 5
const LOOK_AGAIN_MS = 100
const STOP_MS = 30_000

/** One series of an answer: its labels, and its value now. */
export interface Sample {
  readonly metric: Readonly<Record<string, string>>
  readonly value: readonly [number, string]
}

export interface Prometheus {
  /** What the expression is now. Throws what Prometheus has against it. */
  query(expression: string): Promise<Sample[]>
  /** What `/api/v1` answers. */
  get(path: string): Promise<unknown>
  stop(): Promise<void>
}

/** Scrapes the target every two seconds under the job `strongroom`, and evaluates the rules as often. */
export async function startPrometheus(folder: string, target: string, rules: string): Promise<Prometheus> {
  const data = join(folder, 'prometheus')
  const config = join(folder, 'prometheus.yaml')
  mkdirSync(data)
  const job = { job_name: 'strongroom', static_configs: [{ targets: [target] }] }
  const global = { scrape_interval: '2s', scrape_timeout: '2s', evaluation_interval: '2s' }
  writeFileSync(config, stringify({ global, rule_files: [rules], scrape_configs: [job] }))
  // A port that was free a moment ago may be somebody else's by now.
  for (let attempt = 1; ; attempt += 1) {
    const started = await start(config, data, await freePort())
    if (started !== undefined) return started
    if (attempt === STARTS) throw new Error('Prometheus did not start')
  }
}

async function start(config: string, data: string, port: number): Promise<Prometheus | undefined> {
  const address = `127.0.0.1:${port}`
  const options = [`--config.file=${config}`, `--storage.tsdb.path=${data}`, `--web.listen-address=${address}`]
  const child = spawn(PROMETHEUS, [...options, '--log.level=error'], { stdio: ['ignore', 'ignore', 'inherit'] })
  let running = true
  const ended = new Promise<void>(resolve => {
    child.once('close', () => {
      running = false
      resolve()
    })
  })
  const ready = () =>
    fetch(`http://${address}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    )
  while (running && !(await ready())) await new Promise(resolve => setTimeout(resolve, LOOK_AGAIN_MS))
  if (!running) return undefined
  const get = async (path: string) => {
    const answer = (await (await fetch(`http://${address}/api/v1${path}`)).json()) as { data?: unknown; error?: string }
    if (answer.error !== undefined) throw new Error(`${path}: ${answer.error}`)
    return answer.data
  }
  return {
    get,
    async query(expression) {
      const { result } = (await get(`/query?query=${encodeURIComponent(expression)}`)) as { result: Sample[] }
      return result
    },
    async stop() {
      child.kill('SIGTERM')
      const impatience = setTimeout(() => child.kill('SIGKILL'), STOP_MS)
      await ended
      clearTimeout(impatience)
    },
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number }
      server.close(() => resolve(port))
    })
  })
}
