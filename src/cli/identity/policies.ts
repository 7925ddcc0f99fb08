/** `strongroom identity policy …`: managed policies and their versions. */
import type { Command } from 'commander'
import { command, type Options, readText, show, showDetails, wholeNumber } from './ask.ts'

interface CreateOptions extends Options {
  readonly path?: string
  readonly description?: string
}

export function addManagedPolicies(identity: Command): void {
  const policy = identity.command('policy').description('managed policies, which identities are attached to')
  command(policy, 'create <NAME> <FILE>', 'make a managed policy; - reads standard input')
    .option('--path <PATH>', 'path in its ARN, such as /apps/')
    .option('--description <TEXT>', 'what it is for')
    .action((name: string, file: string, options: CreateOptions) => {
      const { path, description } = options
      return show(options, 'policy/create', account => ({
        ...{ account, name, document: readText(file) },
        ...(path === undefined ? {} : { path }),
        ...(description === undefined ? {} : { description }),
      }))
    })
  command(policy, 'list', 'list managed policies').action((options: Options) =>
    show(options, 'policy/list', account => ({ account })),
  )
  command(policy, 'show <NAME>', 'its versions, and what it is attached to').action((name: string, options: Options) =>
    showDetails(options, 'policy/show', account => ({ account, name })),
  )
  command(policy, 'update <NAME> <FILE>', 'put a new version in force; five are kept').action(
    (name: string, file: string, options: Options) =>
      show(options, 'policy/update', account => ({ account, name, document: readText(file) })),
  )
  command(policy, 'set-default <NAME>', 'put an older version in force again')
    .requiredOption('--version-number <N>', 'the version', wholeNumber)
    .action((name: string, options: Options & { versionNumber: number }) =>
      show(options, 'policy/set-default', account => ({ account, name, version: options.versionNumber })),
    )
  command(policy, 'delete <NAME>', 'remove a managed policy that is attached to nobody').action(
    (name: string, options: Options) => show(options, 'policy/delete', account => ({ account, name })),
  )
}
