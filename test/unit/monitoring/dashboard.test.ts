/** The dashboard asks for metrics that there are; what each query answers, test/integration/prometheus.test.ts sees. */
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, it } from '@jest/globals'
import { parse } from 'yaml'
import { metricNamesIn, servedNames } from './names.ts'

const CONFIG = fileURLToPath(new URL('../../../config/', import.meta.url))

it('asks for metrics that a daemon serves or a rule records', async () => {
  const { groups } = parse(readFileSync(`${CONFIG}prometheus/strongroom.rules.yaml`, 'utf8')) as {
    groups: { rules: { record?: string }[] }[]
  }
  const recorded = groups.flatMap(({ rules }) => rules.flatMap(({ record }) => record ?? []))
  const asked = metricNamesIn(readFileSync(`${CONFIG}grafana/strongroom.json`, 'utf8'))
  expect(new Set(asked).size).toBeGreaterThan(30)
  const known = new Set([...(await servedNames()), ...recorded])
  expect(asked.filter(name => !known.has(name))).toEqual([])
})
