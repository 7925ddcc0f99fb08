/** `strongroom backup` and `strongroom restore`: copies of the key store, made while it is in use, checked, and put back. */
import { existsSync } from 'node:fs'
import type { Command } from 'commander'
import { systemClock } from '../../base/clock.ts'
import { loadConfiguration } from '../../config/load.ts'
import type { Configuration } from '../../config/schema.ts'
import { openStateFolder } from '../../config/state-folder.ts'
import { createLogger } from '../../telemetry/logger.ts'
import { CommandFailed } from '../admin-client.ts'
import { acceptOlderStore } from '../ceremonies/accept-older.ts'
import { approveRestore } from '../ceremonies/approve-restore.ts'
import { type BackupManifest, readManifest } from '../ceremonies/backup-manifest.ts'
import { requireSameLedgers, requireSigned, requireUnchanged } from '../ceremonies/check-backup.ts'
import { makeBackup } from '../ceremonies/make-backup.ts'
import { takeTheFloor } from '../ceremonies/one-at-a-time.ts'
import { recordOf } from '../ceremonies/parts.ts'
import { restoreBackup } from '../ceremonies/restore-backup.ts'
import { openKeyStore } from '../open-key-store.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'
import { Progress } from '../progress.ts'
import { type CeremonyOptions, runCeremony, sayerOf } from '../run-ceremony.ts'
import { withoutDaemon } from '../without-daemon.ts'

interface BackupOptions {
  readonly config: string
  readonly output: 'text' | 'json'
  readonly check?: boolean
}

interface RestoreOptions extends CeremonyOptions {
  readonly replace?: boolean
  readonly acceptOlder?: boolean
  readonly beforeRotation?: boolean
}

export function addBackup(program: Command): void {
  program
    .command('backup')
    .description('copy the key store while it is in use, with a manifest that a token signs; the daemon may run')
    .argument('<PATH>', 'a file that is not there yet, or a folder')
    .addOption(configurationOption())
    .addOption(outputOption())
    .option('--check', 'look at a copy that is there, and make none')
    .action((path: string, options: BackupOptions) =>
      options.check === true ? check(path, options) : make(path, options),
    )
  program
    .command('restore')
    .description('put a copy of the key store in its place; the daemon may not run')
    .argument('<FILE>', 'a copy that "strongroom backup" has made')
    .addOption(configurationOption())
    .option('--replace', 'put a key store that is there aside')
    .option(
      '--accept-older',
      'although the tokens remember a later one: what was changed since is given up, and that is recorded',
    )
    .option(
      '--before-rotation',
      'of a copy from before a rotation: "domain rotate --accept-older" must follow, and looks at it',
    )
    .action(restore)
}

async function make(path: string, { config, output }: BackupOptions): Promise<void> {
  const configuration = loadConfiguration(config)
  await using resources = new AsyncDisposableStack()
  const opening = { path: openStateFolder(configuration.stateDir).store, logger: createLogger('warn') }
  const { store, rows } = await openKeyStore(configuration, opening, resources)
  const progress = new Progress('pages')
  try {
    const parts = { store, signer: rows.signer, clock: systemClock }
    const made = await makeBackup({ ...parts, onProgress: step => progress.update(step) }, path)
    progress.end()
    print(output, made.path, made.manifest)
  } finally {
    progress.end()
  }
}

async function check(path: string, { config, output }: BackupOptions): Promise<void> {
  const configuration = loadConfiguration(config)
  const manifest = readManifest(path)
  await requireUnchanged(path, manifest)
  requireSameLedgers(path, manifest)
  await using resources = new AsyncDisposableStack()
  const present = openStateFolder(configuration.stateDir).store
  if (!existsSync(present))
    throw new CommandFailed(
      `${present} is not there: the tokens are asked with what it says of them; "restore" checks too`,
    )
  const opening = { path: present, logger: createLogger('warn'), older: true }
  const { rows } = await openKeyStore(configuration, opening, resources)
  await requireSigned(rows.signer, path, manifest)
  print(output, path, manifest)
}

async function restore(from: string, options: RestoreOptions): Promise<void> {
  const configuration = loadConfiguration(options.config)
  await withoutDaemon(configuration, () => restoreAlone(configuration, from, options))
}

async function restoreAlone(configuration: Configuration, from: string, options: RestoreOptions): Promise<void> {
  const state = openStateFolder(configuration.stateDir)
  const logger = createLogger('warn')
  const say = sayerOf(options)
  const progress = new Progress('records')
  const floor = await takeTheFloor(state.ceremonySocket)
  const request = { from, folder: state.path, to: state.store, nowMs: systemClock() }
  const { replace = false, acceptOlder = false, beforeRotation = false } = options
  const restored = await restoreBackup(
    { ...request, replace, acceptOlder, beforeRotation },
    async (path, manifest, use) => {
      await using resources = new AsyncDisposableStack()
      const opened = await openKeyStore(configuration, { path, logger, older: true }, resources)
      const older = await use(opened)
      progress.end()
      const officers = await approveRestore(configuration, state, { ...manifest, acceptOlder, beforeRotation })
      for (const { name } of configuration.regions) {
        const what = `restored the backup ${from}`
        const record = recordOf({ clock: systemClock, command: 'restore', officers }, name, what, 'done')
        await opened.store.transaction(tx => tx.recordCeremony(record))
      }
      return older
    },
    step => progress.update(step),
  ).finally(async () => {
    progress.end()
    await floor[Symbol.asyncDispose]()
  })
  const { madeAtMs, older, replaced } = restored
  say(`restored the key store as it was at ${new Date(madeAtMs).toISOString()}`)
  if (replaced !== undefined) say(`the key store that was there is ${replaced}: remove it when it is needed no more`)
  if (beforeRotation) say('no token has looked at it yet: run "strongroom domain rotate --accept-older" in each region')
  if (older.length === 0) return
  say(
    'to take it for the present one is left: should that not come to its end here, run "strongroom store accept-older"',
  )
  await runCeremony({ command: 'store accept-older', everyRegion: true, olderStore: true }, options, acceptOlderStore)
}

function print(output: 'text' | 'json', path: string, { madeAtMs, bytes, sha256, ledgers }: BackupManifest): void {
  const at = new Date(madeAtMs).toISOString()
  if (output === 'json') printRecords('json', { path, at, bytes, sha256, ledgers })
  else
    printRecords('text', [
      { path, at, bytes, ...Object.fromEntries(ledgers.map(({ region, epoch }) => [region, epoch])) },
    ])
}
