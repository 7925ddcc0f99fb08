/** A service process that takes the place of one that died, while the token is slow to let its hosts in. */
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals'
import { buildFaultyModule, callsOf, type FaultyModule, makeFaulty } from '../../scripts/chaos/faulty-module.ts'
import { readCredentials } from '../../scripts/instance.ts'
import { type Instance, makeInstance, type Serving } from '../support/instance.ts'
import { childrenOf, waitUntil } from '../support/processes.ts'
import { REGION } from '../support/tokens.ts'

const PROCESSES = 2
const PATIENCE_MS = 120_000

jest.setTimeout(2 * PATIENCE_MS)

let instance: Instance
let token: FaultyModule
let daemon: Serving

beforeAll(async () => {
  instance = await makeInstance(['a'])
  token = makeFaulty(instance.folder, 'a', buildFaultyModule(instance.folder), instance.locations.a!)
  instance.configure([token.location], { listen: { port: 0, processes: PROCESSES } })
  expect(await instance.init()).toMatchObject({ code: 0 })
  daemon = await instance.serve()
})

afterAll(async () => {
  token?.set('pass')
  if (daemon !== undefined) process.kill(daemon.pid, 'SIGTERM')
  await daemon?.ended
  instance?.remove()
})

/** Service processes that take connections, in the order in which they began to. */
function serving(): number[] {
  return [...daemon.log().matchAll(/"message":"service process serves".*?"pid":(\d+)/g)].map(([, pid]) => Number(pid))
}

/** One request on each of several connections of their own: `ok`, or the name of the error. */
async function outcomes(): Promise<string[]> {
  const options = { endpoint: daemon.endpoint, region: REGION, credentials: readCredentials(instance.stateDir) }
  return Promise.all(
    Array.from({ length: 2 * PROCESSES }, async () => {
      const kms = new KMS({ ...options, maxAttempts: 1 })
      try {
        await kms.generateRandom({ NumberOfBytes: 8 })
        return 'ok'
      } catch (error) {
        return (error as Error).name
      } finally {
        kms.destroy()
      }
    }),
  )
}

const allOk = Array.from({ length: 2 * PROCESSES }, () => 'ok')

describe('the successor of a service process that died', () => {
  it('takes connections when its hosts serve, and the other process takes them until then', async () => {
    const before = serving()
    expect(before).toHaveLength(PROCESSES)
    const logins = token.logins()
    token.set('hang', 0, callsOf('C_Login'))
    process.kill(before[0]!, 'SIGKILL')
    await waitUntil(() => token.logins() > logins, PATIENCE_MS)
    expect(await outcomes()).toEqual(allOk)
    expect(serving()).toEqual(before)
    token.set('pass')
    await waitUntil(() => serving().length > PROCESSES, PATIENCE_MS)
    expect(await outcomes()).toEqual(allOk)
    const successor = serving().at(-1)!
    expect(childrenOf(successor).filter(({ command }) => command.includes('hsm/host/main.ts'))).toHaveLength(1)
  })
})
