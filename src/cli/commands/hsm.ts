/** `strongroom hsm`: the tokens of each region, the state they are in and the keys that reside there. Asks the running daemon. */
import type { Command } from 'commander'
import type { Readiness } from '../../admin/health.ts'
import { loadConfiguration } from '../../config/load.ts'
import { openStateFolder } from '../../config/state-folder.ts'
import type { ResidentReport } from '../../keyring/resident-report.ts'
import { askDaemon } from '../admin-client.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'

interface Options {
  readonly config: string
  readonly output: 'text' | 'json'
}

export function addHsm(program: Command): void {
  const hsm = program.command('hsm').description('the tokens that the daemon works with')
  hsm
    .command('status')
    .description('the state of every token; ends with code 1 when a region cannot serve')
    .addOption(configurationOption())
    .addOption(outputOption())
    .action(async ({ config, output }: Options) => {
      const { adminSocket } = openStateFolder(loadConfiguration(config).stateDir)
      const status = (await askDaemon(adminSocket, 'status', {})) as Readiness
      const rows = status.regions.flatMap(({ region, hsms }) =>
        hsms.map(({ hsm: name, state }) => ({ region, hsm: name, state })),
      )
      printRecords(output, output === 'json' ? status : rows)
      if (!status.ready) process.exitCode = 1
    })
  hsm
    .command('resident-keys')
    .description(
      'keys that reside in tokens which cannot wrap them, and objects there that no record names; ends with code 1 when ' +
        'an object is an orphan or missing',
    )
    .addOption(configurationOption())
    .addOption(outputOption())
    .action(async ({ config, output }: Options) => {
      const { adminSocket } = openStateFolder(loadConfiguration(config).stateDir)
      const reports = (await askDaemon(adminSocket, 'resident-keys', {})) as Omit<ResidentReport, 'unmade'>[]
      const rows = reports.map(report => ({
        ...report,
        orphans: report.orphans.join(' ') || 'none',
        missing: report.missing.join(' ') || 'none',
        toDestroy: report.toDestroy.length,
      }))
      printRecords(output, output === 'json' ? reports : rows)
      if (reports.some(({ orphans, missing }) => orphans.length + missing.length > 0)) process.exitCode = 1
    })
}
