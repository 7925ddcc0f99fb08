/** `strongroom init`: makes domains, enrols tokens, and makes the first user. Run again, it changes nothing that is done. */
import type { Command } from 'commander'
import { systemClock } from '../../base/clock.ts'
import { composePool } from '../../compose-pools.ts'
import { loadConfiguration } from '../../config/load.ts'
import { openStateFolder } from '../../config/state-folder.ts'
import type { PinSource } from '../../hsm/contract/ceremony.ts'
import { openStore } from '../../store/open-store.ts'
import { createLogger } from '../../telemetry/logger.ts'
import { Metrics } from '../../telemetry/metrics.ts'
import { CommandFailed } from '../admin-client.ts'
import { ensureDomain } from '../ceremonies/domain.ts'
import { ensureFirstIdentity } from '../ceremonies/first-identity.ts'
import { configurationOption } from '../options.ts'
import { readSecretLine } from '../read-secret.ts'

const POOL_START_MS = 30_000

interface InitOptions {
  readonly config: string
  readonly soPinFile?: readonly string[]
  readonly allowOpenToken?: boolean
}

export function addInit(program: Command): void {
  program
    .command('init')
    .description('create the domain of each region, enrol its tokens, make the first user')
    .addOption(configurationOption())
    .option(
      '--so-pin-file <[REGION=]FILE...>',
      "file with the SO PIN of a region's first token, needed to enrol others; without it the PIN is asked for",
    )
    .option('--allow-open-token', 'enrol a token that cannot enforce a sealed domain; the domain is open from then on')
    .action(init)
}

async function init({ config, soPinFile = [], allowOpenToken = false }: InitOptions): Promise<void> {
  const configuration = loadConfiguration(config)
  const state = openStateFolder(configuration.stateDir)
  const logger = createLogger('warn')
  const say = (line: string) => void process.stdout.write(`${line}\n`)
  const store = await openStore({ path: state.store })
  await using parts = new AsyncDisposableStack()
  parts.defer(() => store.close())
  const ceremony = { store, clock: systemClock, logger, say, allowOpenToken, officerPin: officerPinFrom(soPinFile) }
  for (const region of configuration.regions) {
    const { id, sealed, versions } = await ensureDomain(ceremony, region)
    say(`${region.name}: domain ${id} is ${sealed ? 'sealed' : 'OPEN: whoever has a PIN could read keys'}`)
    for (const { kind, version, checkValue } of versions)
      say(`${region.name}: check value of ${kind}.${version} is ${checkValue}`)
  }
  const [home] = configuration.regions
  if (home === undefined) throw new CommandFailed('the configuration names no region')
  const pool = await composePool(home, configuration, { store, metrics: new Metrics(), logger })
  parts.defer(() => pool.close())
  await pool.whenReady(POOL_START_MS)
  const { account } = configuration
  await ensureFirstIdentity({ store, clock: systemClock, account, pool, credentialsPath: state.credentials, say })
}

/** SO PINs from `FILE` (any region) or `REGION=FILE`; asked for, once for each region, when no file is named. */
function officerPinFrom(files: readonly string[]): (region: string) => Promise<PinSource> {
  const byRegion = new Map(
    files.map(entry => {
      const at = entry.indexOf('=')
      return at < 0 ? ['', entry] : [entry.slice(0, at), entry.slice(at + 1)]
    }),
  )
  const typed = new Map<string, string>()
  return async region => {
    const file = byRegion.get(region) ?? byRegion.get('')
    if (file !== undefined) return { file }
    const pin = typed.get(region) ?? (await readSecretLine(`SO PIN of the token that holds the domain of ${region}: `))
    typed.set(region, pin)
    return { typed: pin }
  }
}
