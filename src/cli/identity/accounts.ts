/** `strongroom identity account …`: the tenants of this deployment. */
import type { Command } from 'commander'
import { configurationOption, outputOption } from '../options.ts'
import { type Options, show } from './ask.ts'

export function addAccounts(identity: Command): void {
  const account = identity.command('account').description('accounts: tenants with keys and identities of their own')
  const command = (usage: string, description: string) =>
    account.command(usage).description(description).addOption(configurationOption()).addOption(outputOption())

  command('create <ID>', 'make an account; its id has 12 digits')
    .option('--name <TEXT>', 'what people call it')
    .action((id: string, options: Options & { name?: string }) =>
      show(options, 'account/create', () => ({
        account: id,
        ...(options.name === undefined ? {} : { name: options.name }),
      })),
    )
  command('list', 'list accounts').action((options: Options) => show(options, 'account/list', () => ({})))
  command('delete <ID>', 'remove an account that is empty').action((id: string, options: Options) =>
    show(options, 'account/delete', () => ({ account: id })),
  )
}
