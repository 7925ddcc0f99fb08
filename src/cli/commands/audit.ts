/** `strongroom audit`: the log verified, offline and by whoever has the public keys; and asked. */
import { createPublicKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import type { Command } from 'commander'
import type { Verdict } from '../../audit/verify.ts'
import { logFilesOf, verifyBlocks, verifyFiles } from '../../audit/verify-files.ts'
import { loadConfiguration } from '../../config/load.ts'
import { stateFolderAt } from '../../config/state-folder.ts'
import { auditKeyId } from '../../formats/audit-checkpoint.ts'
import { CommandFailed } from '../admin-client.ts'
import { configurationOption, outputOption } from '../options.ts'
import { printRecords } from '../print.ts'
import { Progress } from '../progress.ts'
import { inspectDomains } from '../run-ceremony.ts'
import { addAuditQuery } from './audit-query.ts'

interface VerifyOptions {
  readonly config: string
  readonly output: 'text' | 'json'
  readonly publicKey?: string
  readonly store?: true
  readonly forwarded?: true
}

/** Exit codes; 1 is that of a command that could not run. */
const DAMAGED = 2
const UNCOVERED = 3
/** Other readings of one file are not worth showing progress for. */
const PROGRESS_FROM_BYTES = 16 * 1_024 * 1_024

export function addAudit(program: Command): void {
  const audit = program
    .command('audit')
    .description('the audit log: its public keys, whether it is whole, what is in it')
  audit
    .command('public-key')
    .description('print the public keys that verify checkpoints, as PEM: keep them away from this machine')
    .addOption(configurationOption())
    .addOption(outputOption())
    .action(printPublicKeys)
  audit
    .command('verify')
    .description(
      'say whether files of the log are whole: ends with 0 when they are, 3 when events at the end are covered by no checkpoint, 2 when something was changed',
    )
    .argument('[FILES...]', 'files of the log, the oldest first, or folders of them; the daemon’s own when absent')
    .option('--public-key <FILE>', 'PEM of the audit keys; asked of the key store when absent')
    .option('--store', 'the copy in the key store, in place of files')
    .option('--forwarded', 'FILES are of a collector: lines may be there more than once')
    .addOption(configurationOption())
    .addOption(outputOption())
    .action(verify)
  addAuditQuery(audit)
}

interface AuditPublicKey {
  readonly region: string
  readonly token: string
  readonly serial: string
  readonly sha256: string
  readonly publicKey: string
}

async function findPublicKeys(options: { readonly config: string }): Promise<AuditPublicKey[]> {
  return inspectDomains({ ...options, output: 'json' }, async ({ parts, configuration }) => {
    const found: AuditPublicKey[] = []
    for (const { name: region } of configuration.regions) {
      const domain = await parts.store.reader.findDomain(region)
      for (const { label, serial, auditPublicKey } of domain?.tokens ?? []) {
        if (auditPublicKey.length === 0) continue
        const key = createPublicKey({ key: auditPublicKey, format: 'der', type: 'spki' })
        const publicKey = key.export({ format: 'pem', type: 'spki' }) as string
        found.push({ region, token: label, serial, sha256: auditKeyId(auditPublicKey).toString('hex'), publicKey })
      }
    }
    return found
  })
}

async function printPublicKeys(options: { readonly config: string; readonly output: 'text' | 'json' }): Promise<void> {
  const keys = await findPublicKeys(options)
  if (options.output === 'json') return printRecords('json', keys)
  for (const { region, token, serial, sha256, publicKey } of keys)
    process.stdout.write(`audit key of token "${token}" (${serial}) of ${region}, SHA-256 ${sha256}\n${publicKey}`)
}

async function verify(paths: readonly string[], options: VerifyOptions): Promise<void> {
  const pem = options.publicKey === undefined ? await ownPublicKeys(options) : readText(options.publicKey)
  const publicKeys = publicKeysOf(pem)
  const verdict = options.store ? await verifyStore(options, publicKeys) : await verifyGiven(paths, options, publicKeys)
  if (options.output === 'json') printRecords('json', verdict)
  else printVerdict(verdict)
  if (verdict.findings.length > 0) process.exitCode = DAMAGED
  else if (verdict.uncovered > 0) process.exitCode = UNCOVERED
}

async function ownPublicKeys(options: VerifyOptions): Promise<string> {
  return (await findPublicKeys(options)).map(({ publicKey }) => publicKey).join('')
}

async function verifyGiven(
  paths: readonly string[],
  { config, forwarded }: VerifyOptions,
  publicKeys: readonly Buffer[],
): Promise<Verdict> {
  const chosen = paths.length > 0 ? paths : [stateFolderAt(loadConfiguration(config).stateDir).audit]
  const progress = new Progress('bytes')
  try {
    const files = await logFilesOf(chosen)
    if (files.length === 0) throw new CommandFailed(`there are no files of an audit log in ${chosen.join(', ')}`)
    const onProgress: Parameters<typeof verifyFiles>[2] = progressed => {
      if (progressed.total >= PROGRESS_FROM_BYTES) progress.update(progressed)
    }
    return await verifyFiles(files, publicKeys, onProgress, { forwarded: forwarded === true })
  } catch (error) {
    const { code, path } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    throw new CommandFailed(`cannot read ${path ?? 'a file'}: ${code}`)
  } finally {
    progress.end()
  }
}

function verifyStore(options: VerifyOptions, publicKeys: readonly Buffer[]): Promise<Verdict> {
  return inspectDomains({ ...options, output: 'json' }, ({ parts }) =>
    verifyBlocks(parts.store.audit.blocks(), publicKeys),
  )
}

/** The keys in a text of PEM blocks, with whatever stands between them. Throws {@link CommandFailed} when there is none. */
function publicKeysOf(pem: string): Buffer[] {
  const blocks = pem.match(/-----BEGIN PUBLIC KEY-----[A-Za-z0-9+/=\s]+-----END PUBLIC KEY-----/g) ?? []
  if (blocks.length === 0) throw new CommandFailed('there is no public key to verify with')
  return blocks.map(block => {
    try {
      return createPublicKey(block).export({ format: 'der', type: 'spki' })
    } catch {
      throw new CommandFailed('what stands between BEGIN and END PUBLIC KEY is none')
    }
  })
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    throw new CommandFailed(`cannot read ${path}: ${(error as NodeJS.ErrnoException).code}`)
  }
}

function printVerdict({ findings, notes, events, chains }: Verdict): void {
  const say = (line: string) => void process.stdout.write(`${line}\n`)
  for (const { source, line, chain, seq, eventId, what } of findings) {
    const id = eventId === undefined ? '' : ` (${eventId})`
    say(`${source}, line ${line}: chain ${chain.slice(0, 8)}, event ${seq}${id}: ${what}`)
  }
  for (const note of notes) say(note)
  const checkpoints = chains.reduce((sum, chain) => sum + chain.checkpoints, 0)
  say(`${events} events in ${chains.length} chains, ${checkpoints} checkpoints`)
  for (const { chain, lastSeq, uncovered } of chains)
    if (uncovered > 0)
      say(
        `the last ${uncovered} events, from ${lastSeq - uncovered + 1} of chain ${chain}, are covered by no checkpoint yet`,
      )
  say(findings.length > 0 ? 'NOT WHOLE: the first finding above is where it begins' : 'whole')
}
