/** `strongroom officer …`: who must approve ceremonies, and how many of them (docs/dual-control.md). */
import { type Command, InvalidArgumentError } from 'commander'
import type { DualControl } from '../../model/dual-control.ts'
import { withApprovalParts } from '../ceremonies/approval-parts.ts'
import { addOfficer as add, removeOfficer, setThreshold } from '../ceremonies/officers.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'
import { readSmallFile } from '../read-small-file.ts'

interface Options {
  readonly config: string
}

export function addOfficer(program: Command): void {
  const officer = program
    .command('officer')
    .description('dual control: officers whose approval a ceremony needs, and how many of them it takes')

  officer
    .command('add <NAME>')
    .description('register an officer by an SSH public key; its private half stays with the officer')
    .addOption(configurationOption())
    .requiredOption(
      '--public-key <FILE>',
      'OpenSSH public key: Ed25519, ECDSA, RSA of 3072 bits or more, or a FIDO key',
    )
    .action(async (name: string, { config, publicKey }: Options & { readonly publicKey: string }) => {
      const { fingerprint } = await withApprovalParts(config, parts => add(parts, name, readSmallFile(publicKey)))
      say(`officer ${name}: added, with the key ${fingerprint}`)
    })

  officer
    .command('list')
    .description('list officers and the threshold')
    .addOption(configurationOption())
    .addOption(outputOption())
    .action(async ({ config, output }: Options & { readonly output: 'text' | 'json' }) => {
      const dualControl = await withApprovalParts(config, ({ store }) => store.reader.findDualControl())
      printDualControl(output, dualControl)
    })

  officer
    .command('remove <NAME>')
    .description('remove an officer; approvals that were given and not used no longer count')
    .addOption(configurationOption())
    .action(async (name: string, { config }: Options) => {
      await withApprovalParts(config, parts => removeOfficer(parts, name))
      say(`officer ${name}: removed`)
    })

  officer
    .command('threshold')
    .description('set how many officers must approve a ceremony; 0 turns dual control off')
    .argument('<M>', 'number of officers', readThreshold)
    .addOption(configurationOption())
    .action(async (threshold: number, { config }: Options) => {
      await withApprovalParts(config, parts => setThreshold(parts, threshold))
      say(threshold === 0 ? 'dual control is off' : `dual control is on: a ceremony needs the approval of ${threshold}`)
    })
}

function printDualControl(output: 'text' | 'json', { threshold, officers }: DualControl): void {
  const rows = officers.map(({ name, publicKey, fingerprint, addedAtMs }) => ({
    ...{ name, algorithm: publicKey.split(' ')[0], fingerprint, added: new Date(addedAtMs).toISOString() },
  }))
  printRecords(output, output === 'json' ? { threshold, officers: rows } : rows)
  if (output === 'json') return
  const many = `the approval of ${threshold} of ${officers.length} officers`
  say(threshold === 0 ? 'dual control is off' : `dual control is on: a ceremony needs ${many}`)
}

function readThreshold(text: string): number {
  if (!/^\d{1,2}$/.test(text)) throw new InvalidArgumentError('It is a number of officers.')
  return Number(text)
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}
