/** The page of a run: what the documents' own tests ask of it, and plots that can be read. */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { OPERATIONS } from '../../../scripts/bench/operations.ts'
import { pageOf, writePage } from '../../../scripts/bench/page.ts'
import type { Report, Results, Summary } from '../../../scripts/bench/report.ts'
import { makeFolder } from '../../support/tokens.ts'

const ROOT = fileURLToPath(new URL('../../../', import.meta.url))
const OCCASION = { machine: '2 × Some CPU, Node 26.10.0', date: '2026-11-22T14:00:00.000Z' }
/** Digits of sans-serif at 12 pixels are narrower than this. */
const WIDEST_LETTER = 7.5
const LINE_HEIGHT = 12

const summary = (opsPerSec: number, daemon = false): Summary => ({
  ...{ opsPerSec, cpuUs: 1e6 / opsPerSec, rounds: 3, othersCpuPercent: 1.5, spreadPercent: 4.2 },
  ...(daemon ? { serviceCpuUs: 60.5, hostsCpuUs: 36.1, loadCpuUs: 20.3 } : {}),
})
const report = (connections: number): Report => ({
  ...{ connections, rounds: 3, secondsPerRound: 3 },
  operations: Object.fromEntries(
    OPERATIONS.map((operation, at) => [
      operation,
      { raw: summary(40_000 + at), daemon: summary(900 * connections + at * 1_000, true), naive: summary(900) },
    ]),
  ),
})
const latencies = { opsPerSec: 12_345, p50Us: 812, p90Us: 1_640, p99Us: 5_870, p999Us: 31_999, maxUs: 64_255 }
const servers = { raw: summary(28_000), daemon: summary(12_345) }
const results = {
  ...report(32),
  sweep: [1, 8, 32, 64].map(report),
  authorisation: { defaultPolicy: summary(14_000), manyPolicies: summary(13_900), cpuRatio: 1.003 },
  openLoop: OPERATIONS.map(operation => ({
    operation,
    points: [3_086, 12_345].map(askedPerSec => ({ askedPerSec, serviceCpuUs: 70, hostsCpuUs: 37, ...latencies })),
  })),
  growth: [1, 1_000_000].map(keys => ({
    ...{ keys, inUse: Math.min(keys, 10_000), fillSeconds: 190, readyMs: 1_452 },
    ...{ readyBytes: 251_658_240, loadedBytes: 500_000_000, peakBytes: 742_391_808 },
    operations: { GenerateDataKey: servers, Decrypt: servers },
  })),
} as unknown as Results

const folder = makeFolder()
const read = (name: string) => readFileSync(join(folder.path, name), 'utf8')
const PLOTS = ['performance-throughput.svg', 'performance-latencies.svg']

beforeAll(() => writePage(folder.path, results, OCCASION))
afterAll(() => folder.remove())

describe('the page of a run', () => {
  it('has every table, and keeps what stands around them', () => {
    const page = read('performance.md')
    const headings = [...page.matchAll(/^## (.*)$/gm)].map(([, heading]) => heading)
    expect(headings).toEqual([
      '32 connections',
      'From few connections to many',
      'At fixed rates',
      'With many keys in the store',
    ])
    for (const part of ['# Performance\n', '2026-11-22', OCCASION.machine, '1,000,000', '÷ raw', 'CPU × 1.003'])
      expect(page).toContain(part)
    for (const operation of OPERATIONS) expect(page.split(operation).length).toBeGreaterThan(6)
    expect(page).not.toMatch(/undefined|NaN|No run is recorded/)
  })

  it('is written again over itself', () => {
    const page = read('performance.md')
    expect(pageOf(page, results, OCCASION)).toBe(page)
    expect(() => pageOf('# Performance\n', results, OCCASION)).toThrow('the page has no <!-- measured -->')
  })

  it('links to files that are written with it', () => {
    const targets = [...read('performance.md').matchAll(/\]\((performance[^)]*)\)/g)].map(([, target]) => target!)
    expect(targets).toEqual(['performance.json', ...PLOTS])
    for (const target of targets) expect(existsSync(join(folder.path, target))).toBe(true)
  })

  it('has only what was measured', () => {
    const page = pageOf(read('performance.md'), report(1), OCCASION)
    expect(page).toContain('## 1 connection\n')
    expect(page).not.toMatch(/svg|At fixed rates|many keys in the store\n/)
  })

  it('has its numbers in JSON as Biome formats it', () => {
    const json = read('performance.json')
    expect(JSON.parse(json)).toMatchObject({ ...OCCASION, connections: 32 })
    const biome = [join(ROOT, 'node_modules/.bin/biome'), 'format', '--stdin-file-path=docs/performance.json']
    const formatted = execFileSync(process.execPath, biome, { cwd: ROOT, input: json, encoding: 'utf8' })
    expect(formatted).toBe(json)
  })
})

describe.each(PLOTS)('%s', name => {
  interface Text {
    readonly content: string
    readonly left: number
    readonly right: number
    readonly y: number
  }

  /** Those that lie; the one beside the y axis is turned, and stands alone. */
  function textsOf(svg: string): Text[] {
    return [...svg.matchAll(/<text x="([\d.]+)" y="([\d.]+)" text-anchor="(\w+)">([^<]*)<\/text>/g)].map(
      ([, x, y, anchor, content = '']) => {
        const width = content.length * WIDEST_LETTER
        const left = Number(x) - (anchor === 'end' ? width : anchor === 'middle' ? width / 2 : 0)
        return { content, left, right: left + width, y: Number(y) }
      },
    )
  }

  it('has a title, axes with their units, and a name for every line', () => {
    const svg = read(name)
    expect(svg).toMatch(/<title>[^<]+<\/title>/)
    expect(svg).toMatch(/rotate\(-90[^>]*>(?:operations a second|microseconds)</)
    expect(svg).toMatch(/>(?:connections|percentile of requests)</)
    for (const operation of OPERATIONS) expect(svg).toContain(`>${operation}`)
    expect(svg.match(/<polyline /g)).toHaveLength(OPERATIONS.length)
    expect(svg).not.toMatch(/NaN|undefined|Infinity/)
  })

  it('has no text over another or outside', () => {
    const svg = read(name)
    const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number)
    const texts = textsOf(svg)
    expect(texts.length).toBeGreaterThan(OPERATIONS.length + 8)
    for (const { left, right, y } of texts) {
      expect([left >= 0, right <= width!, y - LINE_HEIGHT >= 0, y <= height!]).toEqual([true, true, true, true])
    }
    const over = texts.flatMap((one, at) =>
      texts
        .slice(at + 1)
        .filter(other => Math.abs(one.y - other.y) < LINE_HEIGHT && one.left < other.right && other.left < one.right)
        .map(other => [one.content, other.content]),
    )
    expect(over).toEqual([])
  })
})
