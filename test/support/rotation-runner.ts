/**
 * A process that rotates a domain and kills itself with SIGKILL at a step, as a machine that loses its power would. It tells
 * its parent of every step before. Start it with rotation.ts's `rotateKilledAt`.
 */
import { readFileSync } from 'node:fs'
import { rotateDomain } from '../../src/cli/ceremonies/rotate-domain.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { RotationOrder } from './rotation.ts'
import { silentLogger } from './tokens.ts'

const order = JSON.parse(readFileSync(process.argv[2] ?? '', 'utf8')) as RotationOrder
const { storePath, region, officerPinFile, killAt } = order
const store = await openStore({ path: storePath })
const onStep = async (step: string) => {
  await new Promise(resolve => process.send?.(step, resolve))
  if (step === killAt) process.kill(process.pid, 'SIGKILL')
}
const parts = {
  store,
  clock: Date.now,
  logger: silentLogger,
  say() {},
  officerPin: async () => ({ file: officerPinFile }),
}
await rotateDomain({ ...parts, onStep, settleMs: 0 }, region)
await store.close()
process.disconnect?.()
