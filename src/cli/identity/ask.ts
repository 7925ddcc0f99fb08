/** What the `identity` commands share: their options, the files they read, and how they ask the daemon. */
import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError } from 'commander'
import type { AdminRequest, AdminRequestName } from '../../admin/admin-socket.ts'
import { loadConfiguration } from '../../config/load.ts'
import { openStateFolder } from '../../config/state-folder.ts'
import { askDaemon, CommandFailed } from '../admin-client.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printDetails, printRecords } from '../print.ts'

export interface Options {
  readonly config: string
  readonly output: 'text' | 'json'
  readonly account?: string
}

/** A command that asks the daemon about an account. */
export function command(parent: Command, usage: string, description: string): Command {
  return parent
    .command(usage)
    .description(description)
    .addOption(configurationOption())
    .addOption(outputOption())
    .option('--account <ID>', "account, when it is not the configuration's")
}

export async function ask<N extends AdminRequestName>(
  options: Options,
  name: N,
  body: (account: string) => AdminRequest<N>,
): Promise<unknown> {
  const configuration = loadConfiguration(options.config)
  const { adminSocket } = openStateFolder(configuration.stateDir)
  return askDaemon(adminSocket, name, body(options.account ?? configuration.account))
}

/** Asks, and prints records that fit into columns. */
export async function show<N extends AdminRequestName>(
  options: Options,
  name: N,
  body: (account: string) => AdminRequest<N>,
): Promise<void> {
  printRecords(options.output, await ask(options, name, body))
}

/** Asks, and prints one record with everything in it. */
export async function showDetails<N extends AdminRequestName>(
  options: Options,
  name: N,
  body: (account: string) => AdminRequest<N>,
): Promise<void> {
  printDetails(options.output, await ask(options, name, body))
}

/** A file's text; `-` is standard input. Throws {@link CommandFailed}. */
export function readText(path: string): string {
  try {
    return readFileSync(path === '-' ? 0 : path, 'utf8')
  } catch (error) {
    throw new CommandFailed(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code}`)
  }
}

/** `KEY=VALUE` pairs. Throws {@link CommandFailed}. */
export function readTags(pairs: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    pairs.map(pair => {
      const at = pair.indexOf('=')
      if (at < 1) throw new CommandFailed(`a tag is written KEY=VALUE, not "${pair}"`)
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}

/** A whole number for an option or argument. */
export function wholeNumber(text: string): number {
  const value = Number(text)
  if (Number.isSafeInteger(value) && value >= 0) return value
  throw new InvalidArgumentError('a whole number is wanted')
}
