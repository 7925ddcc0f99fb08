/**
 * Before a copy takes the place of a key store that is there, the officers of that one approve it under dual control: those of the
 * copy may be others, or none.
 */
import { existsSync } from 'node:fs'
import { systemClock } from '../../base/clock.ts'
import type { Configuration } from '../../config/schema.ts'
import type { StateFolder } from '../../config/state-folder.ts'
import { StoreUnusable } from '../../store/faults.ts'
import type { Store } from '../../store/store.ts'
import { createLogger } from '../../telemetry/logger.ts'
import { CommandFailed } from '../admin-client.ts'
import { type KeyStore, openKeyStore } from '../open-key-store.ts'
import { withApproval } from './approval.ts'
import type { BackupManifest } from './backup-manifest.ts'
import { openRequestFolder } from './request-folder.ts'
import type { RestoreRequest } from './restore-backup.ts'

/** What officers are told of the copy, and of what becomes of it. */
export type RestoreAct = Pick<BackupManifest, 'sha256' | 'madeAtMs'> &
  Pick<RestoreRequest, 'acceptOlder' | 'beforeRotation'>

/**
 * Returns the officers who have approved; none where dual control is off, and where there is no key store or none that opens.
 * Throws {@link CommandFailed} that says what to sign, or that the store which is there does not say who approves.
 */
export async function approveRestore(
  configuration: Configuration,
  state: StateFolder,
  act: RestoreAct,
): Promise<readonly string[]> {
  if (!existsSync(state.store)) return []
  await using resources = new AsyncDisposableStack()
  const opened = await openPresent(configuration, state, resources)
  if (opened === undefined) return []
  const { store, pools } = opened
  if ((await thresholdOf(store, state)) === 0) return []
  // Before any transaction, which would hold the store while hosts start.
  await pools.poolOf(pools.home)
  const { sha256, madeAtMs, acceptOlder, beforeRotation } = act
  const regions = configuration.regions.map(({ name }) => name)
  const args = {
    ...{ 'copy made': new Date(madeAtMs).toISOString(), 'copy SHA-256': sha256, region: regions.join(' ') },
    'older key store': acceptOlder || beforeRotation ? 'accepted' : 'refused',
  }
  const parts = { store, clock: systemClock, requests: openRequestFolder(state.requests) }
  const guarded = { command: 'restore', args, state: await generationsOf(store, regions) }
  return await withApproval(parts, guarded, async officers => officers)
}

/** A file that is no key store any more says nothing, and may be replaced all the same. */
async function openPresent(
  configuration: Configuration,
  { store: path }: StateFolder,
  resources: AsyncDisposableStack,
): Promise<KeyStore | undefined> {
  try {
    return await openKeyStore(configuration, { path, logger: createLogger('warn'), older: true }, resources)
  } catch (error) {
    if (error instanceof StoreUnusable) return undefined
    throw error
  }
}

async function thresholdOf({ reader }: Store, { store: path }: StateFolder): Promise<number> {
  try {
    return (await reader.findDualControl()).threshold
  } catch (error) {
    throw new CommandFailed(
      `${path} does not say who approves that it is replaced (${(error as Error).message}): when it is given up, move it ` +
        'away by hand and restore without --replace',
    )
  }
}

/** As stored: in a store that is to be replaced, the row of a domain may be what is damaged. */
async function generationsOf({ reader }: Store, regions: readonly string[]): Promise<Record<string, string>> {
  const generations: Record<string, string> = {}
  for (const region of regions) {
    const domain = await reader.findStoredDomain(region)
    generations[`domain of ${region}`] = domain === undefined ? 'none' : `${domain.id} generation ${domain.generation}`
  }
  return generations
}
