/** `strongroom init`: makes domains, enrols tokens, and makes the first user. Run again, it changes nothing that is done. */
import type { Command } from 'commander'
import { sharedDomainOf } from '../../config/multi-region.ts'
import { PoolAnchors } from '../../keyring/anchors.ts'
import type { Domain } from '../../store/domain.ts'
import { CommandFailed } from '../admin-client.ts'
import { ensureDomain } from '../ceremonies/domain.ts'
import { UnfitToken } from '../ceremonies/domain-schemes.ts'
import { ensureFirstIdentity } from '../ceremonies/first-identity.ts'
import type { RegionConfiguration } from '../ceremonies/parts.ts'
import { neverEnrolled } from '../ceremonies/receiving-tokens.ts'
import { officerPinOption, openTokenOption } from '../officer-pin.ts'
import { configurationOption } from '../options.ts'
import { type CeremonyOptions, type CeremonyRun, runCeremony } from '../run-ceremony.ts'

export function addInit(program: Command): void {
  program
    .command('init')
    .description('create the domain of each region, enrol its tokens, make the first user')
    .addOption(configurationOption())
    .addOption(officerPinOption())
    .addOption(openTokenOption())
    .action((options: CeremonyOptions) =>
      runCeremony(
        { command: 'init', everyRegion: true, receiving: neverEnrolled, unfinished: isBeingMade },
        options,
        init,
      ),
    )
}

function isBeingMade({ state, tokens }: Domain): boolean {
  return state === 'creating' || tokens.some(token => token.state === 'enrolling')
}

async function ensureShown(parts: CeremonyRun['parts'], region: RegionConfiguration): Promise<void> {
  const { id, sealed, versions } = await ensureDomain(parts, region)
  parts.say(`${region.name}: domain ${id} is ${sealed ? 'sealed' : 'OPEN: whoever has a PIN could read keys'}`)
  for (const { kind, version, checkValue } of versions)
    parts.say(`${region.name}: check value of ${kind}.${version} is ${checkValue}`)
}

async function ensureSharedDomain(
  parts: CeremonyRun['parts'],
  configuration: CeremonyRun['configuration'],
): Promise<void> {
  const shared = sharedDomainOf(configuration)
  if (shared === undefined) return
  try {
    await ensureShown(parts, shared)
  } catch (error) {
    if (!(error instanceof UnfitToken) || shared.required) throw error
    parts.say(`not every region has multi-Region keys: ${error.message}`)
  }
}

async function init({ parts, configuration, state, pools }: CeremonyRun): Promise<void> {
  const { store, clock, say } = parts
  // A token gets the shared domain before its region counts on it.
  await ensureSharedDomain(parts, configuration)
  for (const region of configuration.regions) await ensureShown(parts, region)
  const pool = await pools.poolOf(pools.home)
  if (pool === undefined) throw new CommandFailed('the configuration names no region')
  if (!(await store.rowMacs.areComplete())) {
    const signed = await store.rowMacs.complete()
    if (signed > 0) say(`key store: signed ${signed} records that carried no MAC, as they are`)
  }
  const { account } = configuration
  await ensureFirstIdentity({ store, clock, account, pool, credentialsPath: state.credentials, say })
  // From here on the tokens know that records of this store carry MACs: it is never signed as it is again.
  const anchor = await store.rowMacs.anchorOf(pools.home)
  if (anchor !== undefined) await new PoolAnchors(pools).write(pools.home, anchor)
}
