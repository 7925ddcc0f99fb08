/** `strongroom identity apply FILE`: shows what would change, asks, and changes all of it or nothing. */
import { createInterface } from 'node:readline/promises'
import type { Command } from 'commander'
import { parse } from 'yaml'
import type { AdminRequest } from '../../admin/admin-socket.ts'
import type { Difference, Plan } from '../../identities/apply.ts'
import { CommandFailed } from '../admin-client.ts'
import { printRecords } from '../print.ts'
import { ask, command, type Options, readText } from './ask.ts'

interface ApplyOptions extends Options {
  readonly dryRun?: boolean
  readonly yes?: boolean
}

const SIGNS: Record<Difference['action'], string> = { create: '+', update: '~', delete: '-' }

export function addApply(identity: Command): void {
  command(identity, 'apply <FILE>', 'make the account be as a YAML file says; - reads standard input')
    .option('--dry-run', 'show the differences and change nothing')
    .option('--yes', 'do not ask before changing')
    .action(apply)
}

async function apply(file: string, options: ApplyOptions): Promise<void> {
  const declaration = readDeclaration(file)
  const plan = (await ask(options, 'declaration/plan', account => ({ account, declaration }))) as Plan
  const { differences, digest } = plan
  const wanted = differences.length > 0 && options.dryRun !== true
  if (options.output === 'text') process.stdout.write(describe(differences))
  if (wanted) {
    if (options.yes !== true) await confirm(file)
    await ask(options, 'declaration/apply', account => ({ account, declaration, digest }))
  }
  if (options.output === 'json') printRecords('json', { differences, applied: wanted })
  else if (wanted) process.stdout.write('applied\n')
}

function readDeclaration(file: string): AdminRequest<'declaration/plan'>['declaration'] {
  try {
    return parse(readText(file), { maxAliasCount: 100 }) ?? {}
  } catch (error) {
    if (error instanceof CommandFailed) throw error
    throw new CommandFailed(`${file} is not YAML: ${(error as Error).message}`)
  }
}

function describe(differences: readonly Difference[]): string {
  if (differences.length === 0) return 'nothing to change\n'
  return differences
    .flatMap(({ action, kind, name, lines }) => [
      `${SIGNS[action]} ${kind} ${name}`,
      ...(action === 'delete' ? [] : lines.map(line => `    ${line}`)),
    ])
    .map(line => `${line}\n`)
    .join('')
}

/** Throws {@link CommandFailed} when the answer is not yes, or when there is nobody to ask. */
async function confirm(file: string): Promise<void> {
  if (file === '-' || process.stdin.isTTY !== true)
    throw new CommandFailed('nothing was changed: --yes applies without asking')
  const lines = createInterface({ input: process.stdin, output: process.stderr })
  try {
    const answer = await lines.question('Apply? [y/N] ')
    if (!/^y(?:es)?$/i.test(answer.trim())) throw new CommandFailed('nothing was changed')
  } finally {
    lines.close()
  }
}
