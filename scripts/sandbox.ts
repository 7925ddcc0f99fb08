/**
 * A throw-away Strongroom: tokens and store of its own in a temporary folder, one JSON line on stdout when it is ready,
 * everything removed when it is told to stop. Logs go to stderr. It ends with a code other than 0 when the service dies.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Command, InvalidArgumentError } from 'commander'
import { REGION_NAME } from '../src/base/region.ts'
import { userArn } from '../src/model/arn.ts'
import { prepareInstance, readCredentials, readSettings, startDaemon } from './instance.ts'

const ACCOUNT_DEFAULT = '000000000001'
const REGION_DEFAULT = 'on-prem-1'
const FIRST_USER = 'admin'

interface Options {
  readonly port: number
  readonly tokens: number
  readonly processes?: number
  readonly region: readonly string[]
  readonly account?: string
  readonly config?: string
}

const program = new Command('sandbox')
  .description('run a throw-away Strongroom on SoftHSM tokens')
  .option('--port <N>', 'port of the KMS API; 0 picks a free one', integer(0, 65_535), 0)
  .option('--tokens <N>', 'tokens in each region', integer(1, 16), 2)
  .option('--processes <N>', 'service processes, as `listen.processes` of a configuration has them', integer(1, 16))
  .option(
    '--region <NAME>',
    'region to serve; may be given again',
    (name, names: string[]) => [...names, regionName(name)],
    [],
  )
  .option('--account <ID>', 'account of the first user: 12 digits')
  .option(
    '--config <FILE>',
    "more settings, as a configuration file has them; folders, ports and tokens stay the sandbox's own",
  )
  .parse()

const dir = mkdtempSync(join(tmpdir(), 'strongroom-'))
process.once('exit', () => rmSync(dir, { recursive: true, force: true }))
const stop = new AbortController()
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stop.abort())

try {
  await runSandbox(program.opts<Options>())
} catch (error) {
  if (!stop.signal.aborted) {
    process.stderr.write(`sandbox: ${(error as Error).message}\n`)
    process.exit(1)
  }
}
process.exit(0)

/** Runs until it is told to stop. Throws when the service ends by itself. */
async function runSandbox({ port, tokens, processes, region, account: asked, config }: Options): Promise<void> {
  const { account: configured, ...wanted } = config === undefined ? {} : readSettings(config)
  // Nothing of a sandbox outlives a power cut, nor is meant to.
  const settings = {
    ...wanted,
    listen: { ...(wanted.listen as object | undefined), ...(processes === undefined ? {} : { processes }) },
    audit: { syncToDisk: false, ...(wanted.audit as object | undefined) },
  }
  const accountId = asked ?? String(configured ?? ACCOUNT_DEFAULT)
  const regions = region.length === 0 ? [REGION_DEFAULT] : [...new Set(region)]
  const plan = { dir, regions, tokensPerRegion: tokens, port, adminPort: 0, account: accountId, settings }
  const configurationPath = await prepareInstance(plan, stop.signal)
  const { child, ended, ...ready } = await startDaemon(configurationPath, stop.signal)
  const description = {
    ...ready,
    region: regions[0],
    regions,
    accountId,
    callerArn: userArn(accountId, '/', FIRST_USER),
    ...readCredentials(dir),
    pid: child.pid,
    dir,
  }
  if (!stop.signal.aborted) process.stdout.write(`${JSON.stringify(description)}\n`)
  const how = await ended
  if (!stop.signal.aborted) throw new Error(`the service ended (${how})`)
}

function integer(min: number, max: number): (text: string) => number {
  return text => {
    const value = Number(text)
    if (Number.isInteger(value) && value >= min && value <= max) return value
    throw new InvalidArgumentError(`a whole number from ${min} to ${max} is wanted`)
  }
}

function regionName(name: string): string {
  if (REGION_NAME.test(name)) return name
  throw new InvalidArgumentError('a region is called like on-prem-1')
}
