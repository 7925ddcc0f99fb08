/**
 * What every ceremony command needs around it: configuration, the floor, the store, the approval of officers where dual control
 * is on, and a record of a failure.
 */
import { systemClock } from '../base/clock.ts'
import type { PoolsOnDemand } from '../compose-rows.ts'
import { loadConfiguration } from '../config/load.ts'
import { sharedDomainOf } from '../config/multi-region.ts'
import type { Configuration } from '../config/schema.ts'
import { openStateFolder, type StateFolder } from '../config/state-folder.ts'
import type { Domain } from '../store/domain.ts'
import { openStore } from '../store/open-store.ts'
import { createLogger } from '../telemetry/logger.ts'
import { CommandFailed } from './admin-client.ts'
import { withApproval } from './ceremonies/approval.ts'
import { takeTheFloor } from './ceremonies/one-at-a-time.ts'
import { type CeremonyParts, type RegionConfiguration, recordOf, type ShownFingerprints } from './ceremonies/parts.ts'
import { describeReceiving, type ReceivingTokens } from './ceremonies/receiving-tokens.ts'
import { record } from './ceremonies/recorded.ts'
import { openRequestFolder } from './ceremonies/request-folder.ts'
import { officerPinsFrom } from './officer-pin.ts'
import { openKeyStore } from './open-key-store.ts'
import { readAnswer } from './read-secret.ts'

export interface CeremonyOptions {
  readonly config: string
  readonly region?: string
  readonly multiRegion?: boolean
  readonly soPinFile?: readonly string[]
  readonly allowOpenToken?: boolean
  readonly output?: 'text' | 'json'
}

export interface CeremonyRun {
  readonly parts: CeremonyParts
  readonly configuration: Configuration
  /** Whose domain the ceremony is about; the first one where it is about all of them. */
  readonly region: ConfiguredDomain
  readonly state: StateFolder
  /** Started when they are first asked for. */
  readonly pools: PoolsOnDemand
}

/** A region of the configuration, or the domain that all of them share. */
export type ConfiguredDomain = Pick<Configuration['regions'][number], 'name' | 'tokens'> & RegionConfiguration

/** Lines for people stay out of the way of an answer for programs. */
export function sayerOf({ output }: Pick<CeremonyOptions, 'output'>): (line: string) => void {
  const stream = output === 'json' ? process.stderr : process.stdout
  return line => void stream.write(`${line}\n`)
}

/** What a ceremony is about to do, as it is recorded and as officers approve it. */
export interface CeremonyIntent {
  /** Such as `domain rotate`. */
  readonly command: string
  /** Beside the region: what it was told that makes a difference. */
  readonly args?: Readonly<Record<string, string>>
  /** Set where the ceremony is about every configured region. */
  readonly everyRegion?: true
  /** Of a ceremony that brings a domain to tokens: which ones. It needs no approval when there are none. */
  readonly receiving?: ReceivingTokens
  /** Whether a domain shows that this ceremony has begun and is not done; it goes on under its former approval. */
  readonly unfinished?: (domain: Domain) => boolean
  /** Set where it may be that the key store is older than what its tokens remember. */
  readonly olderStore?: true
}

/** Runs a ceremony that may change something. Throws {@link CommandFailed} that says what to sign when officers must approve. */
export async function runCeremony<T>(
  { command, args = {}, everyRegion, receiving, unfinished = () => false, olderStore }: CeremonyIntent,
  options: CeremonyOptions,
  work: (run: CeremonyRun) => Promise<T>,
): Promise<T> {
  const configuration = loadConfiguration(options.config)
  const [first] = configuration.regions
  const region = everyRegion === true && first !== undefined ? first : chosenRegion(configuration, options)
  const shared = sharedDomainOf(configuration)
  const regions: readonly ConfiguredDomain[] =
    everyRegion !== true ? [region] : [...(shared === undefined ? [] : [shared]), ...configuration.regions]
  const state = openStateFolder(configuration.stateDir)
  await using resources = new AsyncDisposableStack()
  resources.use(await takeTheFloor(state.ceremonySocket))
  const logger = createLogger('warn')
  const opening = { path: state.store, logger, older: olderStore === true }
  const { store, pools } = await openKeyStore(configuration, opening, resources)
  const pins = officerPinsFrom(options.soPinFile ?? [])
  const parts: CeremonyParts = {
    ...{ store, clock: systemClock, logger, say: sayerOf(options), command },
    allowOpenToken: options.allowOpenToken === true,
    officerPin: region => pins.of(region),
    follow: () => pools.follow(),
    confirmFingerprint: async shown => !pins.attended(shown.region) || confirmed(shown),
  }
  // Of an older store nobody may be able to say yet whether it is genuine.
  const find = (name: string) =>
    olderStore === true ? store.reader.findStoredDomain(name) : store.reader.findDomain(name)
  const found = await Promise.all(regions.map(async ({ name }) => [name, await find(name)] as const))
  const domains = found.flatMap(([, domain]) => domain ?? [])
  const run = (approved: CeremonyParts) =>
    recordingFailure(approved, regions, () => work({ parts: approved, configuration, region, state, pools }))
  // Looked up only when officers are to be told: it takes a log-in to every token.
  const { threshold } = await store.reader.findDualControl()
  const tokens = receiving === undefined || threshold === 0 ? {} : await describeReceiving(parts, regions, receiving)
  if (receiving !== undefined && threshold > 0 && Object.keys(tokens).length === 0) return await run(parts)
  const act = {
    command,
    args: { ...args, ...tokens, region: regions.map(({ name }) => name).join(' ') },
    state: Object.fromEntries(found.map(([name, domain]) => [`domain of ${name}`, describe(domain)])),
    unfinished: domains.some(unfinished),
  }
  const approval = { store, clock: systemClock, requests: openRequestFolder(state.requests) }
  return await withApproval(approval, act, officers => run({ ...parts, officers }))
}

async function recordingFailure<T>(
  parts: CeremonyParts,
  regions: readonly RegionConfiguration[],
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work()
  } catch (error) {
    for (const { name } of regions) {
      const failure = recordOf(parts, name, (error as Error).message, 'failed')
      await parts.store.transaction(tx => record(tx, failure)).catch(() => {})
    }
    throw error
  }
}

/** The state that a ceremony starts from: any other ceremony in between makes it another act. */
function describe(domain: Domain | undefined): string {
  return domain === undefined ? 'none' : `${domain.id} generation ${domain.generation}`
}

/** Reads only; takes no floor and records nothing. */
export async function inspectDomains<T>(
  options: CeremonyOptions,
  work: (run: Pick<CeremonyRun, 'parts' | 'configuration'>) => Promise<T>,
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
export function chosenRegion(
  configuration: Configuration,
  { region: name, multiRegion = false }: Pick<CeremonyOptions, 'region' | 'multiRegion'>,
): ConfiguredDomain {
  const { regions } = configuration
  if (multiRegion) return requireShared(configuration, name)
  const [first, ...others] = regions
  const region = name === undefined && others.length === 0 ? first : regions.find(each => each.name === name)
  if (region !== undefined) return region
  const names = regions.map(each => each.name).join(', ')
  throw new CommandFailed(
    name === undefined
      ? `name a region with --region, one of ${names}, or the domain that they share with --multi-region`
      : `the configuration has no region ${name}: it has ${names}`,
  )
}

/** What a command without `--region` is about: every region, and the domain that they share once there is one. */
export async function chosenRegions(
  { parts, configuration }: Pick<CeremonyRun, 'parts' | 'configuration'>,
  options: CeremonyOptions,
): Promise<readonly ConfiguredDomain[]> {
  if (options.region !== undefined || options.multiRegion === true) return [chosenRegion(configuration, options)]
  const shared = sharedDomainOf(configuration)
  const created = shared && (await parts.store.reader.findDomain(shared.name))
  return shared === undefined || created?.state !== 'ready' ? configuration.regions : [...configuration.regions, shared]
}

function requireShared(configuration: Configuration, region: string | undefined): ConfiguredDomain {
  if (region !== undefined) throw new CommandFailed('give --region or --multi-region, not both')
  const shared = sharedDomainOf(configuration)
  if (shared !== undefined) return shared
  throw new CommandFailed('the configuration has no multi-Region domain: see domain.multiRegion')
}

async function confirmed({ to, from }: ShownFingerprints): Promise<boolean> {
  const answer = await readAnswer(
    `Compare the two fingerprints above, of "${to.label}" and of "${from.label}". Are they the same? Type yes: `,
  )
  return answer.trim().toLowerCase() === 'yes'
}
