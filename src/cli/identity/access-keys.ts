/** `strongroom identity access-key …`: the access keys of users, services and roots. */
import { type Command, Option } from 'commander'
import type { NewAccessKey } from '../../identities/access-keys.ts'
import { printRecords } from '../print.ts'
import { ask, command, type Options, show } from './ask.ts'

interface OwnerOptions extends Options {
  readonly kind: 'user' | 'service' | 'root'
}

export function addAccessKeys(identity: Command): void {
  const accessKey = identity.command('access-key').description('access keys; two at most for each holder')
  const ofOwner = (usage: string, description: string) =>
    command(accessKey, usage, description).addOption(
      new Option('--kind <KIND>', 'what NAME is').choices(['user', 'service', 'root']).default('user'),
    )

  ofOwner('create <NAME>', 'make an access key; its secret is shown this once').action(
    async (name: string, options: OwnerOptions) =>
      printSecret(options, await ask(options, 'access-key/create', account => ({ account, kind: options.kind, name }))),
  )
  ofOwner('list <NAME>', 'list access keys, and when each was used last').action(
    (name: string, options: OwnerOptions) =>
      show(options, 'access-key/list', account => ({ account, kind: options.kind, name })),
  )
  ofOwner('rotate <NAME> <ACCESS-KEY-ID>', 'make an access key and disable the one it replaces').action(
    async (name: string, accessKeyId: string, options: OwnerOptions) =>
      printSecret(
        options,
        await ask(options, 'access-key/rotate', account => ({ account, kind: options.kind, name, accessKeyId })),
      ),
  )
  for (const change of ['disable', 'enable', 'delete'] as const) {
    ofOwner(`${change} <NAME> <ACCESS-KEY-ID>`, `${change} an access key`).action(
      async (name: string, accessKeyId: string, options: OwnerOptions) => {
        await ask(options, `access-key/${change}`, account => ({ account, kind: options.kind, name, accessKeyId }))
        if (options.output === 'text') process.stdout.write(`${accessKeyId}: ${change}d\n`)
        else printRecords('json', { accessKeyId, change: `${change}d` })
      },
    )
  }
}

function printSecret({ output }: Options, created: unknown): void {
  printRecords(output, created as NewAccessKey)
  if (output === 'text') process.stderr.write('The secret is not shown again.\n')
}
