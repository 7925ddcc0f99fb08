/**
 * An operator takes a key store for the present one that is older than what its tokens remember: what was changed since is
 * given up. The ledger goes on at an epoch that the lost store can never have come to, so that neither it nor any copy of it is
 * taken for the present one again.
 */

import { PoolAnchors } from '../../keyring/anchors.ts'
import type { CeremonyRun } from '../run-ceremony.ts'
import { commit, type RegionConfiguration } from './parts.ts'
import { ledgersBehind } from './restore-backup.ts'

export async function acceptOlderStore(
  { parts, configuration, pools }: CeremonyRun,
  regions: readonly Pick<RegionConfiguration, 'name'>[] = configuration.regions,
): Promise<void> {
  const { store, say } = parts
  const anchors = new PoolAnchors(pools)
  const behind = await ledgersBehind(
    store,
    regions.map(({ name: region }) => ({ region })),
    region => anchors.read(region),
  )
  if (behind.length === 0) say('the key store is not older than what its tokens remember: nothing is to be accepted')
  for (const remembered of behind) {
    const { region } = remembered
    const own = await store.rowMacs.anchorOf(region)
    const anew = await store.rowMacs.beginAnew(region, remembered)
    const what = `accepted an older key store: epoch ${own?.epoch} in place of ${remembered.epoch}, going on at ${anew.epoch}`
    await commit(parts, region, what, async () => {})
    await anchors.write(region, anew)
    say(`${region}: ${what}`)
  }
}
