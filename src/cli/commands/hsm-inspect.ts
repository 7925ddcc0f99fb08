/**
 * `strongroom hsm inspect`: what each token can do, which features that gives, and what is missing and why. A ceremony: it
 * logs in to the tokens in processes of its own, daemon running or not, and leaves nothing behind.
 */
import { type Command, Option } from 'commander'
import { parsePkcs11Uri } from '../../base/pkcs11-uri.ts'
import { loadConfiguration } from '../../config/load.ts'
import { HsmFault } from '../../hsm/contract/fault.ts'
import type { TokenLocation } from '../../hsm/contract/host-configuration.ts'
import type { TokenInspection } from '../../hsm/contract/token-inspection.ts'
import { Ceremony } from '../../hsm/pool/ceremony.ts'
import { CommandFailed } from '../admin-client.ts'
import { breachesOf, featuresOf } from '../ceremonies/token-features.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'

interface Options {
  readonly config: string
  readonly output: 'text' | 'json'
  readonly region?: string
  readonly token?: string
  readonly uri?: string
  readonly environment: readonly string[]
  readonly libraryParameters: string
}

export function addHsmInspect(hsm: Command): void {
  hsm
    .command('inspect')
    .description('what each token can do, and what it lacks; also before "init", and for tokens that cannot serve')
    .addOption(configurationOption())
    .option('-r, --region <REGION>', 'the tokens of one region')
    .option('-t, --token <LABEL>', 'one token of the configuration')
    .addOption(new Option('--uri <PKCS11-URI>', 'a token that no configuration names').conflicts(['region', 'token']))
    .option('--environment <NAME=VALUE...>', 'with --uri: what the module wants to see', [])
    .option('--library-parameters <TEXT>', 'with --uri: what the module wants of C_Initialize', '')
    .addOption(outputOption())
    .action(inspect)
}

async function inspect(options: Options): Promise<void> {
  const inspected = []
  let failures = 0
  for (const location of locationsOf(options)) {
    try {
      inspected.push(report(await inspectOne(location)))
    } catch (error) {
      if (!(error instanceof HsmFault)) throw error
      failures += 1
      process.stderr.write(`strongroom: ${parsePkcs11Uri(location.uri).token ?? location.uri}: ${error.reason}\n`)
    }
  }
  if (options.output === 'json') printRecords('json', inspected)
  else for (const each of inspected) print(each)
  if (failures > 0) process.exitCode = 1
}

async function inspectOne(location: TokenLocation): Promise<TokenInspection> {
  await using ceremony = new Ceremony(line => void process.stderr.write(`${line}\n`))
  return await ceremony.call('inspect', { location })
}

function locationsOf({ config, region, token, uri, ...given }: Options): TokenLocation[] {
  if (uri !== undefined) {
    try {
      parsePkcs11Uri(uri)
    } catch (error) {
      throw new CommandFailed(`--uri: ${(error as Error).message}`)
    }
    const environment = Object.fromEntries(given.environment.map(nameAndValue))
    return [{ uri, environment, libraryParameters: given.libraryParameters }]
  }
  const { regions } = loadConfiguration(config)
  const found = regions
    .filter(({ name }) => region === undefined || name === region)
    .flatMap(({ tokens }) => tokens)
    .filter(each => token === undefined || parsePkcs11Uri(each.uri).token === token)
  if (found.length === 0) throw new CommandFailed('the configuration names no such token')
  return found
}

function nameAndValue(entry: string): [string, string] {
  const at = entry.indexOf('=')
  if (at < 1) throw new CommandFailed('--environment wants NAME=VALUE')
  return [entry.slice(0, at), entry.slice(at + 1)]
}

type Report = ReturnType<typeof report>

function report(inspection: TokenInspection) {
  const breaches = inspection.profile === null ? [] : breachesOf(inspection.profile)
  return { ...inspection, features: featuresOf(inspection), breaches }
}

function print(report: Report): void {
  const { token, library, limits, mechanisms, tests } = report
  heading(`token "${token.label}"`)
  const named = (count: number) => (count === 0 ? 'not told' : String(count))
  const facts: Record<string, string> = {
    serial: token.serial,
    manufacturer: token.manufacturer,
    model: token.model,
    'known as': report.vendor,
    'hardware, firmware': `${report.hardwareVersion}, ${report.firmwareVersion}`,
    library: `${library.description} ${library.version} (${library.manufacturer}), PKCS#11 ${library.cryptokiVersion}`,
    module: library.path,
    sessions: `${named(limits.maxSessions)}, of them read-write ${named(limits.maxReadWriteSessions)}`,
    'PIN length': `${named(limits.minPinBytes)} to ${named(limits.maxPinBytes)} bytes`,
    'free memory': `public ${named(limits.freePublicMemoryBytes)}, private ${named(limits.freePrivateMemoryBytes)} bytes`,
  }
  say(...Object.entries(facts).map(([name, value]) => `${name.padEnd(20)}${value}`))
  heading('What Strongroom can do with it')
  printRecords('text', report.features)
  if (report.breaches.length > 0) {
    heading('WARNING: what somebody with the PIN of this token could do')
    say(...report.breaches.map(line => `- ${line}`))
  }
  if (report.notes.length > 0) {
    heading(`To know about ${report.vendor}`)
    say(...report.notes.map(line => `- ${line}`))
  }
  if (tests.length > 0) {
    heading('Self-tests')
    printRecords('text', tests)
  }
  heading(`${mechanisms.length} mechanisms`)
  const hex = (number: number) => `0x${number.toString(16).padStart(4, '0')}`
  const rows = mechanisms.map(({ number, name, rights, minKeySize, maxKeySize }) => ({
    number: hex(number),
    name: name || 'unknown',
    rights: rights.join(', '),
    keys: maxKeySize === 0 ? '' : `${minKeySize} to ${maxKeySize}`,
  }))
  printRecords('text', rows)
}

function heading(text: string): void {
  say('', text, '-'.repeat(text.length))
}

function say(...lines: readonly string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`)
}
