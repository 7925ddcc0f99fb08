/** `strongroom serve`: the daemon, in the foreground, until it is told to stop. */
import type { Command } from 'commander'
import { configurationOption } from '../options.ts'

export function addServe(program: Command): void {
  program
    .command('serve')
    .description('run the daemon in the foreground')
    .addOption(configurationOption())
    .action(async ({ config }: { config: string }) => {
      // The daemon's parts are loaded by the one command that needs them.
      const { runDaemon } = await import('../../main.ts')
      await runDaemon(config)
    })
}
