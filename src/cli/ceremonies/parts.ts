/** What every ceremony works with, and how it changes a domain: by compare-and-swap, in one transaction with its record. */
import { randomUUID } from 'node:crypto'
import { userInfo } from 'node:os'
import type { Clock } from '../../base/clock.ts'
import { MULTI_REGION_DOMAIN } from '../../base/region.ts'
import type { PinSource } from '../../hsm/contract/ceremony.ts'
import type { TokenLocation } from '../../hsm/contract/host-configuration.ts'
import type { CeremonyRecord, Domain } from '../../store/domain.ts'
import { ChangedMeanwhile } from '../../store/faults.ts'
import type { Store, Transaction } from '../../store/store.ts'
import type { Logger } from '../../telemetry/logger.ts'
import { CommandFailed } from '../admin-client.ts'
import { record } from './recorded.ts'

export interface RegionConfiguration {
  readonly name: string
  readonly tokens: readonly TokenLocation[]
  /** Of the domain that regions share: these regions. */
  readonly sharedBy?: readonly string[]
}

/** A transfer key as each side has worked out its fingerprint. */
export interface ShownFingerprints {
  readonly region: string
  /** The token that the keys are to go to, and what it says. */
  readonly to: { readonly label: string; readonly fingerprint: string }
  /** The token that the keys come from, and what it received. */
  readonly from: { readonly label: string; readonly fingerprint: string }
}

export interface CeremonyParts {
  readonly store: Store
  readonly clock: Clock
  readonly logger: Logger
  /** The SO PIN of the token that the domain is carried from; asked for only when keys are moved. */
  readonly officerPin: (region: string) => Promise<PinSource>
  /** Whether a token that cannot enforce a sealed domain may be enrolled in one; the domain is open from then on. */
  readonly allowOpenToken?: boolean
  /** Asks a person whether both sides show the same; resolves with the answer. Without it nobody is asked. */
  readonly confirmFingerprint?: (shown: ShownFingerprints) => Promise<boolean>
  /** A line for the operator. */
  readonly say: (line: string) => void
  /** Told after every change of a domain: whoever works with its keys is to know them as they are. */
  readonly follow?: () => Promise<void>
  /** As it is recorded; `init` when it is left out. */
  readonly command?: string
  /**
   * Whether the key store is from before a rotation, so that no token can sign what is written of the domain before there is
   * another version. What the copy says of it is taken as it is, as far as its tokens do not contradict it.
   */
  readonly unsigned?: boolean
  /** The officers who approved the command. */
  readonly officers?: readonly string[]
}

/** How a command is told which domain it is about. */
export function optionFor(region: string): string {
  return region === MULTI_REGION_DOMAIN ? '--multi-region' : `--region ${region}`
}

/** The domain of a region, or the one that they share. Throws {@link CommandFailed} when there is none yet. */
export async function requireDomain({ store, unsigned }: CeremonyParts, region: string): Promise<Domain> {
  const { reader } = store
  const domain = await (unsigned === true ? reader.findStoredDomain(region) : reader.findDomain(region))
  if (domain?.state !== 'ready')
    throw new CommandFailed(`${region} has no domain: run "strongroom domain create ${optionFor(region)}" first`)
  return domain
}

/**
 * Writes a domain and records why. The generation decides between two ceremonies at once: the later one gets
 * {@link CommandFailed} and has changed nothing. `check` runs in the same transaction and may refuse.
 */
export async function changeDomain(
  parts: CeremonyParts,
  domain: Domain,
  changes: Partial<Omit<Domain, 'generation' | 'region'>>,
  what: string,
  check: (tx: Transaction) => Promise<void> = async () => {},
): Promise<Domain> {
  const changed = { ...domain, ...changes, generation: domain.generation + 1 }
  await commit(parts, domain.region, what, async tx => {
    await check(tx)
    await (parts.unsigned === true ? tx.putUnsignedDomain(changed) : tx.putDomain(changed))
  })
  await parts.follow?.()
  return changed
}

/** Runs `work` and records it in one transaction. Throws {@link CommandFailed} when another ceremony was faster. */
export async function commit<T>(
  parts: CeremonyParts,
  region: string,
  what: string,
  work: (tx: Transaction) => Promise<T>,
): Promise<T> {
  try {
    return await parts.store.transaction(async tx => {
      const result = await work(tx)
      await record(tx, recordOf(parts, region, what, 'done'))
      return result
    })
  } catch (error) {
    if (!(error instanceof ChangedMeanwhile)) throw error
    throw new CommandFailed(`${region}: another ceremony has changed the domain meanwhile; look with "domain show"`)
  }
}

/** What is written of a step; the operator is the user of the operating system that runs this process. */
export function recordOf(
  { clock, command = 'init', officers = [] }: Pick<CeremonyParts, 'clock' | 'command' | 'officers'>,
  region: string,
  what: string,
  outcome: CeremonyRecord['outcome'],
): CeremonyRecord {
  const { username: name, uid } = userInfo()
  return { id: randomUUID(), region, command, operator: { name, uid }, officers, atMs: clock(), what, outcome }
}
