/** `strongroom store …`: what the key store holds, looked at as a whole; and an older one taken for the present one. */
import type { Command } from 'commander'
import { loadConfiguration } from '../../config/load.ts'
import { openStateFolder } from '../../config/state-folder.ts'
import type { CheckFinding } from '../../store/store.ts'
import { createLogger } from '../../telemetry/logger.ts'
import { CommandFailed } from '../admin-client.ts'
import { acceptOlderStore } from '../ceremonies/accept-older.ts'
import { openKeyStore } from '../open-key-store.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'
import { Progress } from '../progress.ts'
import { type CeremonyOptions, runCeremony } from '../run-ceremony.ts'
import { withoutDaemon } from '../without-daemon.ts'

export function addStore(program: Command): void {
  const store = program.command('store').description('the key store: whether it is what the tokens have signed')
  store
    .command('verify')
    .description('look at every record, its MAC, the ledger and the form of its EKT; the daemon may run')
    .addOption(configurationOption())
    .addOption(outputOption())
    .action(verify)
  store
    .command('accept-older')
    .description(
      'take a key store that is older than what its tokens remember for the present one; the daemon may not run',
    )
    .addOption(configurationOption())
    .action(acceptOlder)
}

async function verify({ config, output }: { config: string; output: 'text' | 'json' }): Promise<void> {
  const configuration = loadConfiguration(config)
  await using resources = new AsyncDisposableStack()
  // What is refused is printed, by name, and not logged as well.
  const opening = { path: openStateFolder(configuration.stateDir).store, logger: createLogger('error'), older: true }
  const { store, anchors } = await openKeyStore(configuration, opening, resources)
  if (!(await store.rowMacs.areComplete()))
    throw new CommandFailed('some records of the key store carry no MACs: run "strongroom init"')
  const progress = new Progress('records')
  const findings: CheckFinding[] = []
  let looked = 0
  try {
    for await (const { done, total, found } of store.check()) {
      findings.push(...found)
      looked = done
      progress.update({ done, total })
    }
  } finally {
    progress.end()
  }
  for (const { name: region } of configuration.regions) {
    const remembered = await anchors.read(region)
    const own = await store.rowMacs.anchorOf(region).catch(() => undefined)
    if (remembered !== undefined && (own?.epoch ?? 0) < remembered.epoch)
      findings.push({
        ...{ table: 'ledger_heads', primaryKey: region },
        reason: `the store is older than its tokens remember: epoch ${own?.epoch ?? 0} of ${remembered.epoch}`,
      })
  }
  if (output === 'json') printRecords('json', { looked, findings })
  else if (findings.length > 0) printRecords('text', findings)
  if (findings.length > 0) throw new CommandFailed(`${findings.length} findings in ${looked} records`)
  if (output === 'text') process.stdout.write(`${looked} records are what the tokens have signed\n`)
}

async function acceptOlder(options: CeremonyOptions): Promise<void> {
  const accept = { command: 'store accept-older', everyRegion: true, olderStore: true } as const
  await withoutDaemon(loadConfiguration(options.config), () => runCeremony(accept, options, acceptOlderStore))
}
