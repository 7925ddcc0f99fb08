/** `strongroom hsm`: the tokens of each region, as the running daemon sees them, and what an operator may tell it. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Command, InvalidArgumentError } from 'commander'
import type { HsmStatus } from '../../admin/health.ts'
import { loadConfiguration } from '../../config/load.ts'
import { openStateFolder } from '../../config/state-folder.ts'
import type { ResidentReport } from '../../keyring/resident-report.ts'
import { askDaemon } from '../admin-client.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'
import { addHsmInspect } from './hsm-inspect.ts'

interface StatusOptions {
  readonly config: string
  readonly output: 'text' | 'json'
  readonly watch?: true | number
}

interface UnlockOptions {
  readonly config: string
  readonly region: string
  readonly hsm: string
}

const WATCH_SECONDS = 2
const MS_PER_SECOND = 1_000
/** Back to the top left, and what is below is cleared (ECMA-48, CUP and ED). */
const HOME = '\u001b[H\u001b[J'

export function addHsm(program: Command): void {
  const hsm = program.command('hsm').description('the tokens that the daemon works with')
  addHsmInspect(hsm)
  hsm
    .command('status')
    .description('the state of every token, and why; ends with code 1 when a region cannot serve')
    .addOption(configurationOption())
    .addOption(outputOption())
    .option(
      '-w, --watch [SECONDS]',
      `look again every so many seconds (${WATCH_SECONDS} if not told), until Ctrl-C`,
      seconds,
    )
    .action(({ config, output, watch }: StatusOptions) => {
      const { adminSocket } = openStateFolder(loadConfiguration(config).stateDir)
      return watch === undefined
        ? showStatus(adminSocket, output)
        : watchStatus(adminSocket, output, watch === true ? WATCH_SECONDS : watch)
    })
  hsm
    .command('unlock')
    .description('tell the daemon that the PIN of a token that is locked out may be tried again')
    .addOption(configurationOption())
    .requiredOption('--region <REGION>', 'the region of the token')
    .requiredOption('--hsm <NAME>', 'the token, as `hsm status` names it')
    .action(async ({ config, region, hsm: name }: UnlockOptions) => {
      const { adminSocket } = openStateFolder(loadConfiguration(config).stateDir)
      await askDaemon(adminSocket, 'hsm/unlock', { region, hsm: name })
      process.stdout.write(`the PIN of ${name} is tried once more; "strongroom hsm status" shows what came of it\n`)
    })
  hsm
    .command('resident-keys')
    .description(
      'keys that reside in tokens which cannot wrap them, and objects there that no record names; ends with code 1 when ' +
        'an object is an orphan or missing',
    )
    .addOption(configurationOption())
    .addOption(outputOption())
    .action(async ({ config, output }: Pick<StatusOptions, 'config' | 'output'>) => {
      const { adminSocket } = openStateFolder(loadConfiguration(config).stateDir)
      const reports = (await askDaemon(adminSocket, 'resident-keys', {})) as Omit<ResidentReport, 'unmade'>[]
      const rows = reports.map(report => ({
        ...report,
        orphans: report.orphans.join(' ') || 'none',
        missing: report.missing.join(' ') || 'none',
        toDestroy: report.toDestroy.length,
      }))
      printRecords(output, output === 'json' ? reports : rows)
      if (reports.some(({ orphans, missing }) => orphans.length + missing.length > 0)) process.exitCode = 1
    })
}

async function showStatus(adminSocket: string, output: 'text' | 'json'): Promise<void> {
  const status = (await askDaemon(adminSocket, 'status', {})) as HsmStatus
  printRecords(output, output === 'json' ? status : rowsOf(status))
  process.exitCode = status.ready ? 0 : 1
}

async function watchStatus(adminSocket: string, output: 'text' | 'json', everySeconds: number): Promise<void> {
  const screen = output === 'text' && process.stdout.isTTY
  for (;;) {
    if (screen) process.stdout.write(`${HOME}${new Date().toISOString()}\n\n`)
    await showStatus(adminSocket, output)
    await sleep(everySeconds * MS_PER_SECOND)
  }
}

function rowsOf({ regions }: HsmStatus): Record<string, unknown>[] {
  return regions.flatMap(({ region, hsms }) =>
    hsms.map(({ since, p50Ms, p99Ms, reason, ...hsm }) => ({
      region,
      ...hsm,
      'p50 ms': p50Ms?.toFixed(2) ?? '-',
      'p99 ms': p99Ms?.toFixed(2) ?? '-',
      since: `${since.slice(0, 19)}Z`,
      reason,
    })),
  )
}

function seconds(text: string): number {
  const number = Number(text)
  if (!(number >= 0.1 && number <= 3_600)) throw new InvalidArgumentError('must be 0.1 to 3600 seconds')
  return number
}
