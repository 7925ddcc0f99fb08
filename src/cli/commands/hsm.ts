/** `strongroom hsm status`: the tokens of each region and the state they are in. Asks the running daemon. */
import type { Command } from 'commander'
import type { Readiness } from '../../admin/health.ts'
import { loadConfiguration } from '../../config/load.ts'
import { openStateFolder } from '../../config/state-folder.ts'
import { askDaemon } from '../admin-client.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'
import { addHsmInspect } from './hsm-inspect.ts'

interface Options {
  readonly config: string
  readonly output: 'text' | 'json'
}

export function addHsm(program: Command): void {
  const hsm = program.command('hsm').description('the tokens that the daemon works with')
  addHsmInspect(hsm)
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
}
