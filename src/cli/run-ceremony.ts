/** What every ceremony command needs around it: configuration, the floor, the store, the operator, and a record of a failure. */
import { systemClock } from '../base/clock.ts'
import { loadConfiguration } from '../config/load.ts'
import type { Configuration } from '../config/schema.ts'
import { openStateFolder, type StateFolder } from '../config/state-folder.ts'
import { openStore } from '../store/open-store.ts'
import { createLogger } from '../telemetry/logger.ts'
import { CommandFailed } from './admin-client.ts'
import { takeTheFloor } from './ceremonies/one-at-a-time.ts'
import { type CeremonyParts, type RegionConfiguration, recordOf, type ShownFingerprints } from './ceremonies/parts.ts'
import { officerPinsFrom } from './officer-pin.ts'
import { readAnswer } from './read-secret.ts'

export interface CeremonyOptions {
  readonly config: string
  readonly region?: string
  readonly soPinFile?: readonly string[]
  readonly output?: 'text' | 'json'
}

export interface CeremonyRun {
  readonly parts: CeremonyParts
  readonly configuration: Configuration
  readonly state: StateFolder
}

/** Lines for people stay out of the way of an answer for programs. */
export function sayerOf({ output }: Pick<CeremonyOptions, 'output'>): (line: string) => void {
  const stream = output === 'json' ? process.stderr : process.stdout
  return line => void stream.write(`${line}\n`)
}

/** Runs a ceremony that may change something. `command` is what is recorded. */
export async function runCeremony<T>(
  command: string,
  options: CeremonyOptions,
  work: (run: CeremonyRun) => Promise<T>,
): Promise<T> {
  const configuration = loadConfiguration(options.config)
  const state = openStateFolder(configuration.stateDir)
  await using resources = new AsyncDisposableStack()
  resources.use(await takeTheFloor(state.ceremonySocket))
  const store = await openStore({ path: state.store })
  resources.defer(() => store.close())
  const pins = officerPinsFrom(options.soPinFile ?? [])
  const parts: CeremonyParts = {
    ...{ store, clock: systemClock, logger: createLogger('warn'), say: sayerOf(options), command },
    officerPin: region => pins.of(region),
    confirmFingerprint: async shown => !pins.attended(shown.region) || confirmed(shown),
  }
  try {
    return await work({ parts, configuration, state })
  } catch (error) {
    const region = options.region ?? configuration.regions.map(({ name }) => name).join(',')
    const failure = recordOf(parts, region, (error as Error).message, 'failed')
    await store.transaction(tx => tx.recordCeremony(failure)).catch(() => {})
    throw error
  }
}

/** Reads only; takes no floor and records nothing. */
export async function inspectDomains<T>(
  options: CeremonyOptions,
  work: (run: Omit<CeremonyRun, 'state'>) => Promise<T>,
): Promise<T> {
  const configuration = loadConfiguration(options.config)
  const store = await openStore({ path: openStateFolder(configuration.stateDir).store })
  try {
    const officerPin = () => Promise.reject(new CommandFailed('this command needs no SO PIN'))
    const parts = { store, clock: systemClock, logger: createLogger('error'), say: sayerOf(options), officerPin }
    return await work({ parts, configuration })
  } finally {
    await store.close()
  }
}

/** The region that was named, or the only one. Throws {@link CommandFailed}. */
export function chosenRegion({ regions }: Configuration, name: string | undefined): RegionConfiguration {
  const [first, ...others] = regions
  const region = name === undefined && others.length === 0 ? first : regions.find(each => each.name === name)
  if (region !== undefined) return region
  const names = regions.map(each => each.name).join(', ')
  throw new CommandFailed(
    name === undefined
      ? `name a region with --region: one of ${names}`
      : `the configuration has no region ${name}: it has ${names}`,
  )
}

/** The regions that a command without `--region` is about: all of them. */
export function chosenRegions(configuration: Configuration, name: string | undefined): readonly RegionConfiguration[] {
  return name === undefined ? configuration.regions : [chosenRegion(configuration, name)]
}

async function confirmed({ to, from }: ShownFingerprints): Promise<boolean> {
  const answer = await readAnswer(
    `Compare the two fingerprints above, of "${to.label}" and of "${from.label}". Are they the same? Type yes: `,
  )
  return answer.trim().toLowerCase() === 'yes'
}
