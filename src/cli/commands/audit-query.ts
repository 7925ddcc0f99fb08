/** `strongroom audit query`: events of the running daemon's key store. */
import { type Command, InvalidArgumentError } from 'commander'
import type { RecordedEvent } from '../../audit/event-query.ts'
import { loadConfiguration } from '../../config/load.ts'
import { stateFolderAt } from '../../config/state-folder.ts'
import { askDaemon } from '../admin-client.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'

interface QueryOptions {
  readonly config: string
  readonly output: 'text' | 'json'
  readonly from?: number
  readonly to?: number
  readonly principal?: string
  readonly key?: string
  readonly operation?: string
  readonly outcome?: string
  readonly limit: number
}

const LIMIT = 100
const LIMIT_MAX = 1_000

export function addAuditQuery(audit: Command): void {
  audit
    .command('query')
    .description('print events, the newest first')
    .option('--from <TIME>', 'from this moment on, such as 2026-11-22T06:00:00Z', moment)
    .option('--to <TIME>', 'up to this moment', moment)
    .option('--principal <NAME>', 'of this caller: ARN, user name, access key id')
    .option('--key <KEY>', 'about this key: id, ARN, or an alias as it was named')
    .option('--operation <NAME>', 'of this operation, such as Decrypt')
    .option('--outcome <OUTCOME>', '"ok", "refused", or an error code')
    .option('--limit <N>', `at most so many, up to ${LIMIT_MAX}`, limit, LIMIT)
    .addOption(configurationOption())
    .addOption(outputOption())
    .action(query)
}

async function query({ config, output, from, to, limit, ...filters }: QueryOptions): Promise<void> {
  const { adminSocket } = stateFolderAt(loadConfiguration(config).stateDir)
  const { principal, key, operation, outcome } = filters
  const asked = {
    ...{ limit, principal, key, operation, outcome },
    ...(from === undefined ? {} : { fromMs: from }),
    ...(to === undefined ? {} : { toMs: to }),
  }
  const events = (await askDaemon(adminSocket, 'audit/query', asked)) as RecordedEvent[]
  printRecords(output, output === 'json' ? events : events.map(shown))
}

function shown({ eventTime, eventName, userIdentity: who, resources, errorCode, eventID }: RecordedEvent) {
  return {
    ...{ time: eventTime, operation: eventName, outcome: errorCode ?? 'ok' },
    principal: who.arn ?? who.userName ?? who.accessKeyId ?? who.type ?? '-',
    resource: resources.map(({ ARN }) => ARN).join(',') || '-',
    event: eventID,
  }
}

function moment(text: string): number {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new InvalidArgumentError('must be a moment such as 2026-11-22T06:00:00Z')
  return ms
}

function limit(text: string): number {
  const number = Number(text)
  if (Number.isInteger(number) && number >= 1 && number <= LIMIT_MAX) return number
  throw new InvalidArgumentError(`must be a number from 1 to ${LIMIT_MAX}`)
}
