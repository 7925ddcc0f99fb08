/** One run: a Strongroom under a steady load, one fault after the other, and what the callers saw of each. */
import { setTimeout as sleep } from 'node:timers/promises'
import { isReady, statesOf, untilFullCapacity } from './capacity.ts'
import { ALL_DOWN, allDown, FAULTS, type Fault, whatItDoes } from './faults.ts'
import { type AllDownResult, type FaultResult, type Report, summarise, summariseAllDown } from './report.ts'
import { SteadyLoad } from './steady-load.ts'
import { Subject } from './subject.ts'
import { Tally } from './tally.ts'

export interface Plan {
  /** Names of faults, and perhaps {@link ALL_DOWN}. */
  readonly faults: readonly string[]
  /** For all of them together, about. */
  readonly seconds: number
  readonly connections: number
  /** Requests a second over all connections. */
  readonly rate: number
  /** Where the daemon's log is kept; nowhere when absent. */
  readonly log?: string
  readonly signal: AbortSignal
  progress(line: string): void
}

const BASELINE_MS = 2_000
/** Of a fault's share of the time, what is kept for the recovery. */
const RECOVERY_SHARE_MS = 2_000
const RECOVER_TIMEOUT_MS = 20_000
const ALL_DOWN_MS = 2_000
const POLL_MS = 20
const MS_PER_SECOND = 1_000

/** Runs it and cleans up, also when `signal` interrupts it: then it rejects. */
export async function runExperiment(plan: Plan): Promise<Report> {
  await using subject = new Subject(plan.log)
  plan.progress('starting a Strongroom with two tokens behind faulty modules')
  await subject.start(plan.signal)
  const { connections, rate: requestsPerSecond, seconds } = plan
  await using load = new SteadyLoad({ connections, requestsPerSecond, credentials: subject.credentials })
  load.aim(subject.endpoint)
  await load.start()
  const experiment = new Experiment(plan, subject, load)
  const baseline = await experiment.baseline()
  const chosen = FAULTS.filter(({ name }) => plan.faults.includes(name))
  const shareMs = (seconds * MS_PER_SECOND) / plan.faults.length
  const faults: FaultResult[] = []
  for (const [at, fault] of chosen.entries()) {
    plan.progress(`${at + 1}/${chosen.length} ${fault.name}: ${fault.does}`)
    faults.push(await experiment.suffer(fault, shareMs))
  }
  const all = plan.faults.includes(ALL_DOWN) ? { allDown: await experiment.loseAll() } : {}
  return { baseline, faults, ...all, connections, seconds }
}

class Experiment {
  readonly #plan: Plan
  readonly #subject: Subject
  readonly #load: SteadyLoad

  constructor(plan: Plan, subject: Subject, load: SteadyLoad) {
    this.#plan = plan
    this.#subject = subject
    this.#load = load
  }

  /** The load without a fault. */
  async baseline(): Promise<Report['baseline']> {
    await this.#fullCapacity()
    const tally = this.#count()
    await this.#pause(BASELINE_MS)
    return summarise(tally)
  }

  /** Gives one fault to the first token, takes it back, and waits for full capacity. */
  async suffer(fault: Fault, shareMs: number): Promise<FaultResult> {
    const [victim] = this.#subject.tokens
    const tally = this.#count()
    const loginsBefore = victim!.module.logins()
    await fault.begin(victim!)
    // What happens once and is over leaves nothing to wait for.
    if (fault.leastMs > 0) await this.#pause(Math.max(fault.leastMs, shareMs - RECOVERY_SHARE_MS))
    const logins = victim!.module.logins() - loginsBefore
    await fault.end(victim!)
    const recoverMs = await this.#fullCapacity()
    this.#count()
    const result: FaultResult = {
      ...{ fault: fault.name, ...summarise(tally), recoverMs },
      ...(fault.refusesPin === true ? { logins } : {}),
    }
    const { requests, failures, p99Ms, worstMs } = result
    const recovered = recoverMs === null ? 'not recovered' : `recovered after ${recoverMs} ms`
    this.#plan.progress(
      `    ${requests} requests, ${failures} failures, p99 ${p99Ms} ms, worst ${worstMs} ms, ${recovered}`,
    )
    if (recoverMs === null) await this.#startAnew()
    return result
  }

  /** All tokens answer errors; then the first of them returns, and later the others. */
  async loseAll(): Promise<AllDownResult> {
    this.#plan.progress(`${ALL_DOWN}: ${whatItDoes(ALL_DOWN)}`)
    const tally = this.#count()
    const [first, ...others] = this.#subject.tokens
    for (const victim of this.#subject.tokens) allDown.begin(victim)
    await this.#pause(ALL_DOWN_MS)
    allDown.end(first!)
    const recoverMs = await this.#firstSuccess(tally)
    this.#count()
    for (const victim of others) allDown.end(victim)
    await this.#fullCapacity()
    return summariseAllDown(tally, recoverMs)
  }

  /** From here on requests count in a tally of their own. */
  #count(): Tally {
    const tally = new Tally()
    this.#load.countIn(tally)
    return tally
  }

  async #fullCapacity(): Promise<number | null> {
    const { adminEndpoint } = this.#subject
    const afterMs = await untilFullCapacity(adminEndpoint, RECOVER_TIMEOUT_MS, this.#plan.signal)
    return afterMs === undefined ? null : Math.round(afterMs)
  }

  /** Milliseconds until a request has succeeded again and the daemon says that it can serve. */
  async #firstSuccess(tally: Tally): Promise<number | null> {
    const startedAt = performance.now()
    const before = tally.requests - tally.failures
    while (performance.now() - startedAt < RECOVER_TIMEOUT_MS) {
      if (tally.requests - tally.failures > before && (await isReady(this.#subject.adminEndpoint)))
        return Math.round(performance.now() - startedAt)
      await this.#pause(POLL_MS)
    }
    return null
  }

  /** The next fault must not find what the last one left. */
  async #startAnew(): Promise<void> {
    const states = Object.entries(await statesOf(this.#subject.adminEndpoint)).map(pair => pair.join(' '))
    this.#plan.progress(`    still ${states.join(', ')}: starting the daemon anew`)
    await this.#subject.restart(this.#plan.signal)
    this.#load.aim(this.#subject.endpoint)
    await this.#fullCapacity()
    this.#count()
  }

  async #pause(ms: number): Promise<void> {
    await sleep(ms, undefined, { signal: this.#plan.signal })
  }
}
