/** `strongroom identity …`: who may call, and with which access keys. Asks the running daemon. */
import type { Command } from 'commander'
import type { AdminRequest, AdminRequestName } from '../../admin/admin-socket.ts'
import { loadConfiguration } from '../../config/load.ts'
import { openStateFolder } from '../../config/state-folder.ts'
import type { NewAccessKey } from '../../keyring/identities.ts'
import { askDaemon } from '../admin-client.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'

interface Options {
  readonly config: string
  readonly output: 'text' | 'json'
  readonly account?: string
  readonly path?: string
  readonly fullAccess?: boolean
}

export function addIdentity(program: Command): void {
  const identity = program.command('identity').description('users and their access keys')

  command(identity, 'create <NAME>', 'make a user')
    .option('--path <PATH>', 'path in its ARN, such as /apps/')
    .option('--full-access', 'attach an identity policy that allows kms:*; without one a user may do nothing')
    .action((name: string, options: Options) => {
      const path = options.path === undefined ? {} : { path: options.path }
      return show(options, 'identity/create', account => ({
        account,
        name,
        ...path,
        fullAccess: options.fullAccess === true,
      }))
    })
  command(identity, 'list', 'list users').action((options: Options) =>
    show(options, 'identity/list', account => ({ account })),
  )
  command(identity, 'delete <NAME>', 'remove a user with its access keys').action((name: string, options: Options) =>
    show(options, 'identity/delete', account => ({ account, name })),
  )

  const accessKey = identity.command('access-key').description('the access keys of a user; two at most')
  command(accessKey, 'create <NAME>', 'make an access key; its secret is shown this once').action(
    async (name: string, options: Options) => {
      const created = (await ask(options, 'access-key/create', account => ({ account, name }))) as NewAccessKey
      printRecords(options.output, created)
      if (options.output === 'text') process.stderr.write('The secret is not shown again.\n')
    },
  )
  command(accessKey, 'list <NAME>', 'list access keys').action((name: string, options: Options) =>
    show(options, 'access-key/list', account => ({ account, name })),
  )
  for (const change of ['disable', 'enable', 'delete'] as const) {
    command(accessKey, `${change} <NAME> <ACCESS-KEY-ID>`, `${change} an access key`).action(
      async (name: string, accessKeyId: string, options: Options) => {
        await ask(options, `access-key/${change}`, account => ({ account, name, accessKeyId }))
        if (options.output === 'text') process.stdout.write(`${accessKeyId}: ${change}d\n`)
      },
    )
  }
}

function command(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .addOption(configurationOption())
    .addOption(outputOption())
    .option('--account <ID>', "account, when it is not the configuration's")
}

async function ask<N extends AdminRequestName>(
  options: Options,
  name: N,
  body: (account: string) => AdminRequest<N>,
): Promise<unknown> {
  const configuration = loadConfiguration(options.config)
  const { adminSocket } = openStateFolder(configuration.stateDir)
  return askDaemon(adminSocket, name, body(options.account ?? configuration.account))
}

async function show<N extends AdminRequestName>(
  options: Options,
  name: N,
  body: (account: string) => AdminRequest<N>,
): Promise<void> {
  printRecords(options.output, await ask(options, name, body))
}
