/** SoftHSM tokens that hold a domain, in a folder of their own, and what stands around them: store, hosts, PIN holders. */
import { fork } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { makeSoftTokens } from '../../softhsm/tokens.ts'
import { parsePkcs11Uri } from '../../src/base/pkcs11-uri.ts'
import { ensureDomain } from '../../src/cli/ceremonies/domain.ts'
import type { CeremonyParts } from '../../src/cli/ceremonies/parts.ts'
import { describeDomain } from '../../src/compose-pools.ts'
import type { DomainDescription, HostConfiguration, TokenLocation } from '../../src/hsm/contract/host-configuration.ts'
import { HsmPool } from '../../src/hsm/pool/pool.ts'
import type { Domain } from '../../src/store/domain.ts'
import { openStore } from '../../src/store/open-store.ts'
import type { Logger } from '../../src/telemetry/logger.ts'
import { Metrics } from '../../src/telemetry/metrics.ts'
import type { Job, JobResult } from './pin-holder.ts'

export const REGION = 'on-prem-1'

const READY_MS = 30_000
const PIN_HOLDER = fileURLToPath(new URL('pin-holder.ts', import.meta.url))

export const silentLogger: Logger = { error() {}, warn() {}, info() {}, debug() {}, enabled: () => false }

/** A folder that is removed at the end. Its path names no token software. */
export function makeFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'strongroom-test-'))
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) }
}

export interface TokenDomain {
  readonly folder: string
  readonly locations: readonly TokenLocation[]
  readonly domain: Domain
  readonly description: DomainDescription
  configurationOf(location: TokenLocation, limits?: Partial<HostConfiguration>): HostConfiguration
  /** A pool of these tokens, which can serve. Whoever asked for it closes it. */
  startPool(locations?: readonly TokenLocation[], limits?: Partial<HostConfiguration>): Promise<HsmPool>
  remove(): void
}

/** Makes tokens and carries one domain to all of them, as `strongroom init` does. `seenAs` says how they are reached. */
export async function makeTokenDomain(
  labels: readonly string[],
  seenAs: (location: TokenLocation) => TokenLocation = location => location,
): Promise<TokenDomain> {
  return makeDomainOf(async folder => {
    const { locations, officerPinFile } = await makeSoftTokens(join(folder, 'hsm'), labels)
    return { locations: locations.map(seenAs), officerPinFile }
  })
}

/** The same for tokens of any kind. `makeTokens` makes them in the folder that it is given, the domain's first one first. */
export async function makeDomainOf(
  makeTokens: (folder: string) => Promise<{ locations: readonly TokenLocation[]; officerPinFile?: string }>,
  choices: Pick<CeremonyParts, 'allowOpenToken'> = {},
): Promise<TokenDomain> {
  const folder = makeFolder()
  try {
    return await domainIn(folder, makeTokens, choices)
  } catch (error) {
    folder.remove()
    throw error
  }
}

async function domainIn(
  folder: ReturnType<typeof makeFolder>,
  makeTokens: Parameters<typeof makeDomainOf>[0],
  choices: Parameters<typeof makeDomainOf>[1],
): Promise<TokenDomain> {
  const { locations, officerPinFile } = await makeTokens(folder.path)
  const store = await openStore({ path: join(folder.path, 'store.db') })
  const officerPin = async () => {
    if (officerPinFile === undefined) throw new Error('nobody has an SO PIN here')
    return { file: officerPinFile }
  }
  const parts = { ...choices, store, clock: Date.now, logger: silentLogger, say() {}, officerPin }
  const domain = await ensureDomain(parts, { name: REGION, tokens: locations }).finally(() => store.close())
  const description = describeDomain(domain)
  const configurationOf: TokenDomain['configurationOf'] = (token, limits) => ({
    ...{ token, domain: description, cachedHbks: 10_000, hbkLifetimeMs: 600_000 },
    ...limits,
  })
  return {
    ...{ folder: folder.path, locations, domain, description, configurationOf },
    async startPool(chosen = locations, limits = {}) {
      const hosts = chosen.map(token => ({ label: labelOf(token), configuration: configurationOf(token, limits) }))
      const bounds = { maxCommands: 5_000, maxWaitMs: 10_000, healthIntervalMs: 1_000 }
      const pool = new HsmPool(
        { region: REGION, tokens: hosts, ...bounds },
        { metrics: new Metrics(), logger: silentLogger },
      )
      await pool.whenReady(READY_MS)
      return pool
    },
    remove: folder.remove,
  }
}

export function labelOf({ uri }: TokenLocation): string {
  return parsePkcs11Uri(uri).token ?? ''
}

/** Runs a job in a process that has the user PIN of a token, and its library, and nothing else. */
export async function asPinHolder<J extends Job['name']>(
  location: TokenLocation,
  name: J,
  args: Extract<Job, { name: J }>['args'],
): Promise<JobResult<J>> {
  const { STRONGROOM_TEST_RUN } = process.env
  const child = fork(PIN_HOLDER, {
    env: { ...location.environment, STRONGROOM_TEST_RUN },
    execArgv: ['--disable-warning=ExperimentalWarning'],
    serialization: 'advanced',
  })
  const answered = new Promise<JobResult<J>>((resolve, reject) => {
    child.once('message', answer => {
      const { result, error } = answer as { result?: JobResult<J>; error?: string }
      if (error === undefined) resolve(result as JobResult<J>)
      else reject(new Error(`PIN holder: ${error}`))
    })
    child.once('close', code => reject(new Error(`the PIN holder ended with ${code}`)))
  })
  child.send({ uri: location.uri, libraryParameters: location.libraryParameters, job: { name, args } })
  return answered
}
