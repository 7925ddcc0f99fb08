/**
 * `strongroom domain …`: the ceremonies of a domain over its years. Each may be run again, and goes on where it was cut off;
 * a running daemon learns of what they change from the domain row. docs/ceremonies.md says who has to be there.
 */
import { type Command, InvalidArgumentError } from 'commander'
import type { Domain } from '../../store/domain.ts'
import { acceptOlderStore } from '../ceremonies/accept-older.ts'
import { destroyVersion } from '../ceremonies/destroy-version.ts'
import { enrolTokens, ensureCreated } from '../ceremonies/domain.ts'
import { firstWhenNone, named, neverEnrolled } from '../ceremonies/receiving-tokens.ts'
import { retireToken } from '../ceremonies/retire-token.ts'
import { rotateDomain } from '../ceremonies/rotate-domain.ts'
import { type ShownDomain, showDomain } from '../ceremonies/show-domain.ts'
import { officerPinOption, openTokenOption } from '../officer-pin.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'
import { Progress } from '../progress.ts'
import {
  type CeremonyIntent,
  type CeremonyOptions,
  type CeremonyRun,
  chosenRegions,
  inspectDomains,
  runCeremony,
} from '../run-ceremony.ts'

interface Options extends CeremonyOptions {
  readonly output: 'text' | 'json'
  readonly token?: string
  readonly version?: number
  readonly forceBeforeRetention?: boolean
  readonly acceptOlder?: boolean
}

export function addDomain(program: Command): void {
  const domain = program
    .command('domain')
    .description('the keys that a region wraps everything with, and who holds them')

  ceremony(domain, 'create', 'make the domain of a region in its first token').action((options: Options) =>
    change(
      { command: 'domain create', receiving: firstWhenNone, unfinished: ({ state }) => state === 'creating' },
      options,
      ({ parts, region }) => ensureCreated(parts, region),
    ),
  )
  ceremony(domain, 'enrol', 'carry the domain to every configured token that never held it')
    .option('--token <SERIAL|LABEL>', 'to this token only; one that was retired comes back')
    .addOption(officerPinOption())
    .addOption(openTokenOption())
    .action((options: Options) =>
      change(enrolment(options), options, ({ parts, region }) => enrolTokens(parts, region, options.token)),
    )
  ceremony(domain, 'retire', "take a token out of the domain and destroy the domain's keys in it")
    .requiredOption('--token <SERIAL|LABEL>', 'the token')
    .action((options: Options) =>
      change(retirement(options), options, ({ parts, region }) => retireToken(parts, region, options.token ?? '')),
    )
  ceremony(domain, 'rotate', 'make the next version of the domain and MAC key and re-wrap every key under it')
    .addOption(officerPinOption())
    .option('--accept-older', 'after "restore --before-rotation": take the key store for the present one, too')
    .action(rotate)
  ceremony(domain, 'destroy-version', 'destroy a version that no record and no backup needs any more')
    .requiredOption('--version <N>', 'the version', positiveInteger)
    .option('--force-before-retention', 'although backups may need it still: they can never be opened again')
    .action((options: Options) =>
      change(destruction(options), options, ({ parts, configuration, region }) =>
        destroyVersion(parts, region, {
          version: options.version ?? 0,
          retentionDays: configuration.domain.retentionDays,
          beforeRetention: options.forceBeforeRetention === true,
        }),
      ),
    )
  ceremony(
    domain,
    'show',
    'versions with their check values, tokens and what they hold, and a rotation under way',
  ).action(show)
  ceremony(domain, 'history', 'every step that ceremonies have taken, the newest last').action(history)
}

function ceremony(parent: Command, name: string, description: string): Command {
  return parent
    .command(name)
    .description(description)
    .addOption(configurationOption())
    .addOption(outputOption())
    .option('--region <REGION>', 'the region, when the configuration has several')
    .option('--multi-region', 'the domain that the regions share, in place of the domain of one')
}

/** Runs a ceremony and shows what has become of the domain. */
async function change(
  intent: CeremonyIntent,
  options: Options,
  work: (run: CeremonyRun) => Promise<unknown>,
): Promise<void> {
  const shown = await runCeremony(intent, options, async run => {
    await work(run)
    if (options.output !== 'json') return undefined
    return showDomain(run.parts, run.region, run.configuration.domain.retentionDays)
  })
  if (shown !== undefined) printRecords('json', shown)
}

function enrolment({ token, allowOpenToken = false }: Options): CeremonyIntent {
  const unfinished = ({ tokens }: Domain) => tokens.some(({ state }) => state === 'enrolling')
  const receiving = token === undefined ? neverEnrolled : named(token)
  const args = { token: token ?? 'every new one', 'open token': allowOpenToken ? 'allowed' : 'refused' }
  return { command: 'domain enrol', args, receiving, unfinished }
}

function retirement({ token = '' }: Options): CeremonyIntent {
  const unfinished = ({ tokens }: Domain) =>
    tokens.some(
      ({ serial, label, state, versions }) =>
        (serial === token || label === token) && state === 'retired' && versions.length > 0,
    )
  return { command: 'domain retire', args: { token }, unfinished }
}

function destruction({ version = 0, forceBeforeRetention = false }: Options): CeremonyIntent {
  const retention = forceBeforeRetention ? 'need not have ended' : 'must have ended'
  const unfinished = ({ versions, tokens }: Domain) =>
    versions.some(entry => entry.version === version && entry.state === 'withdrawn') &&
    tokens.some(({ versions: held }) => held.includes(version))
  return { command: 'domain destroy-version', args: { version: String(version), retention }, unfinished }
}

function rotate(options: Options): Promise<void> {
  const progress = new Progress('records')
  const accepting = options.acceptOlder === true
  const intent: CeremonyIntent = {
    ...{ command: 'domain rotate', unfinished: ({ rotation }) => rotation !== undefined },
    ...(accepting ? { args: { 'older key store': 'accepted' }, olderStore: true } : {}),
  }
  return change(intent, options, async run => {
    const { parts, region } = run
    try {
      const onProgress = (progressed: { done: number; total: number }) => progress.update(progressed)
      const { id, versions } = await rotateDomain({ ...parts, onProgress, unsigned: accepting }, region)
      progress.end()
      // No other region's tokens can be asked while its records are from before a rotation.
      if (accepting) await acceptOlderStore(run, [region])
      for (const { kind, version, checkValue, state, sweptAtMs } of versions)
        if (state === 'active' && sweptAtMs === undefined)
          parts.say(`${region.name}: check value of ${kind}.${version} of domain ${id} is ${checkValue}`)
    } finally {
      progress.end()
    }
  })
}

async function show(options: Options): Promise<void> {
  const domains = await inspectDomains(options, async ({ parts, configuration }) => {
    const found: ShownDomain[] = []
    for (const region of await chosenRegions({ parts, configuration }, options))
      found.push(await showDomain(parts, region, configuration.domain.retentionDays))
    return found
  })
  if (options.output === 'json') printRecords('json', domains)
  else for (const domain of domains) printDomain(domain)
}

function printDomain({ region, id, sealed, writeVersion, rotation, versions, tokens }: ShownDomain): void {
  const say = (line: string) => void process.stdout.write(`${line}\n`)
  say(`${region}: domain ${id} is ${sealed ? 'sealed' : 'OPEN: whoever has a PIN could read keys'}`)
  say(`${region}: keys are made under version ${writeVersion}`)
  if (rotation !== null)
    say(
      `${region}: rotation to version ${rotation.to} since ${rotation.since}, next step ${rotation.step}, ${rotation.left} records left`,
    )
  const blank = '-'
  printRecords(
    'text',
    versions.map(version => ({
      ...{ key: version.key, state: version.state, 'check value': version.checkValue },
      ...{ records: version.records ?? blank, swept: version.sweptAt ?? blank },
      'destroyable from': version.destroyableFrom ?? blank,
    })),
  )
  printRecords(
    'text',
    tokens.map(({ label, serial, state, unreachable, versions: held }) => ({
      ...{ token: label, serial, state, versions: held.join(',') || blank },
      reachable: unreachable ?? 'yes',
    })),
  )
  const keys = tokens.flatMap(({ label, keys: held }) =>
    held.map(({ key, holds, checkValue, matches }) => ({
      ...{ token: label, key, holds, 'check value': checkValue ?? blank },
      matches: matches === null ? blank : matches ? 'yes' : 'NO',
    })),
  )
  printRecords('text', keys)
}

async function history(options: Options): Promise<void> {
  const records = await inspectDomains(options, async ({ parts, configuration }) => {
    const found = []
    for (const { name } of await chosenRegions({ parts, configuration }, options))
      found.push(...(await parts.store.reader.listCeremonies(name)))
    return found
  })
  const shown = records.map(({ id, region, command, operator, officers, atMs, what, outcome }) => ({
    ...{ at: new Date(atMs).toISOString(), region, command, by: `${operator.name} (${operator.uid})` },
    ...{ officers: officers.join(',') || '-', outcome, what },
    ...(options.output === 'json' ? { id } : {}),
  }))
  printRecords(options.output, shown)
}

function positiveInteger(text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new InvalidArgumentError('must be a number from 1 on')
}
