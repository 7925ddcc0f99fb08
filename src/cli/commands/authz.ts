/** `strongroom authz …`: what is decided, and why. */
import { createReadStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { type Command, InvalidArgumentError } from 'commander'
import { z } from 'zod'
import type { Explanation } from '../../access/explain.ts'
import { duplicateMember } from '../../access/policy/duplicates.ts'
import { PolicyFault } from '../../access/policy/fault.ts'
import { simulate } from '../../access/simulation.ts'
import { loadConfiguration } from '../../config/load.ts'
import { openStateFolder } from '../../config/state-folder.ts'
import { askDaemon } from '../admin-client.ts'
import { configurationOption, outputOption } from '../options.ts'

interface ExplainOptions {
  readonly config: string
  readonly output: 'text' | 'json'
  readonly principal: string
  readonly action: string
  readonly key?: string
  readonly region?: string
  readonly context: readonly (readonly [string, string])[]
}

export function addAuthz(program: Command): void {
  const authz = program.command('authz').description('what is decided about requests, and why')
  authz
    .command('explain')
    .description('which statement or grant decides, and what would have been needed; ends with code 1 for a denial')
    .requiredOption('--principal <ARN>', 'user, role, session or root; a service by its name')
    .requiredOption('--action <ACTION>', 'such as kms:Decrypt')
    .option('--key <KEY>', 'key id, ARN or alias; none for actions on no key')
    .option('--region <REGION>', "region, when it is not the configuration's first")
    .option('--context <NAME=VALUE...>', 'a pair of the encryption context, or a condition key', pair, [])
    .addOption(configurationOption())
    .addOption(outputOption())
    .action(explain)
  authz
    .command('simulate [FILE]')
    .description('judge cases, a JSON object a line, without a daemon; ends with code 1 when a line is malformed')
    .action(simulateLines)
}

function pair(text: string, before: ExplainOptions['context']): ExplainOptions['context'] {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('It must be NAME=VALUE.')
  return [...before, [text.slice(0, at), text.slice(at + 1)]]
}

async function explain({ config, output, principal, action, key, region, context }: ExplainOptions): Promise<void> {
  const { stateDir, regions } = loadConfiguration(config)
  const answer = (await askDaemon(openStateFolder(stateDir).adminSocket, 'authz/explain', {
    ...{
      principal,
      action,
      region: region ?? regions[0]?.name ?? '',
      context: context.map(([name, value]) => [name, value]),
    },
    ...(key === undefined ? {} : { key }),
  })) as Explanation
  process.stdout.write(output === 'json' ? `${JSON.stringify(answer, null, 2)}\n` : textOf(answer))
  if (answer.decision === 'Deny') process.exitCode = 1
}

function textOf({ decision, reason, message, needed = [], almost = [] }: Explanation): string {
  return [
    `${decision}: ${reason}`,
    ...(message === undefined ? [] : [`The caller is told: ${message}`]),
    ...section('Any of these would allow it:', needed),
    ...section('These would, but for something:', almost),
    '',
  ].join('\n')
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : [title, ...lines.map(line => `  - ${line}`)]
}

async function simulateLines(file: string | undefined): Promise<void> {
  const input = file === undefined || file === '-' ? process.stdin : createReadStream(file)
  for await (const line of createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY })) {
    if (line.trim() === '') continue
    const answer = judge(line)
    if ('error' in answer) process.exitCode = 1
    if (!process.stdout.write(`${JSON.stringify(answer)}\n`)) {
      await new Promise(resolve => process.stdout.once('drain', resolve))
    }
  }
}

function judge(line: string): object {
  let id: unknown = null
  try {
    const one: unknown = JSON.parse(line)
    id = (one as { id?: unknown } | null)?.id ?? null
    const twice = duplicateMember(line)
    if (twice !== undefined) throw new PolicyFault(`${twice} stands twice in one object`)
    const { allowed, reason } = simulate(one)
    return { id, decision: allowed ? 'Allow' : 'Deny', reason }
  } catch (error) {
    return { id, error: faultOf(error) }
  }
}

function faultOf(error: unknown): string {
  if (error instanceof z.ZodError) {
    return error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`).join('; ')
  }
  if (error instanceof PolicyFault || error instanceof SyntaxError) return error.message
  throw error
}
