/** When a daemon has its full capacity back: as it says of itself, and as its tokens' work shows. */
import { setTimeout as sleep } from 'node:timers/promises'

const POLL_MS = 25
/** Capacity that is lost again within this time was none. */
const STABLE_MS = 500
const HOT_COMMANDS =
  /^strongroom_hsm_command_duration_seconds_count\{(?=.*command="(?:generateDataKey|decrypt|reEncrypt)")/
const TOKEN = /token="([^"]*)"/

/** The states of all tokens by label, as /readyz has them. */
export async function statesOf(adminEndpoint: string): Promise<Record<string, string>> {
  const readiness = (await (await fetch(`${adminEndpoint}/readyz`)).json()) as {
    regions: { hsms: { hsm: string; state: string }[] }[]
  }
  return Object.fromEntries(readiness.regions.flatMap(({ hsms }) => hsms.map(({ hsm, state }) => [hsm, state])))
}

/** Whether every region can serve, as /readyz has it. */
export async function isReady(adminEndpoint: string): Promise<boolean> {
  return (await fetch(`${adminEndpoint}/readyz`)).ok
}

/** Callers' commands that each token has done so far, by label. */
async function workOf(adminEndpoint: string): Promise<Map<string, number>> {
  const done = new Map<string, number>()
  const text = await (await fetch(`${adminEndpoint}/metrics`)).text()
  for (const line of text.split('\n')) {
    if (!HOT_COMMANDS.test(line)) continue
    const token = TOKEN.exec(line)?.[1] ?? ''
    done.set(token, (done.get(token) ?? 0) + Number(line.slice(line.lastIndexOf(' ') + 1)))
  }
  return done
}

/**
 * Waits until every token is healthy and has done work for callers since it is, and both stay so for half a second.
 * Resolves with the ms until then, that half second not counted; with undefined when it does not happen in time.
 */
export async function untilFullCapacity(
  adminEndpoint: string,
  timeoutMs: number,
  signal: AbortSignal,
): Promise<number | undefined> {
  const startedAt = performance.now()
  /** What the tokens had done when all of them became healthy; undefined while one is not. */
  let before: Map<string, number> | undefined
  let fullAt: number | undefined
  while (performance.now() - startedAt < timeoutMs + STABLE_MS) {
    const states = await statesOf(adminEndpoint)
    const now = performance.now()
    if (Object.values(states).some(state => state !== 'healthy')) {
      before = undefined
      fullAt = undefined
    } else {
      const work = await workOf(adminEndpoint)
      before ??= work
      const atWork = Object.keys(states).every(token => (work.get(token) ?? 0) > (before?.get(token) ?? 0))
      if (atWork) fullAt ??= now
    }
    if (fullAt !== undefined && now - fullAt >= STABLE_MS) return fullAt - startedAt
    await sleep(POLL_MS, undefined, { signal })
  }
  return undefined
}
