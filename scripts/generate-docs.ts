/**
 * Writes the pages of docs/ that code already knows: configuration (types from the schema, meaning from the comments of
 * config/reference.yaml), errors, operations and metrics. With `--check` it writes nothing and ends with code 1 when a
 * page is stale.
 */
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Command } from 'commander'
import { z } from 'zod'
import { ALL_REQUESTS, AWS_REQUEST_RATES, RATE_NAMES, type RateName } from '../src/base/request-rates.ts'
import type { Refusal } from '../src/base/schema.ts'
import { CONFIGURATION_DEFAULT } from '../src/cli/options.ts'
import { configuration } from '../src/config/schema.ts'
import { COMMAND_NAMES } from '../src/hsm/contract/commands.ts'
import { FAULT_KINDS } from '../src/hsm/contract/fault.ts'
import { needsOf } from '../src/hsm/contract/key-mechanisms.ts'
import { TOKEN_STATES } from '../src/hsm/pool/circuit.ts'
import { AES_GCM, ECDH, HMAC, HMAC_SHA_256, ML_KEM, NONE, RANDOM } from '../src/hsm/pool/computation.ts'
import { catalogue, type ErrorCode, errorKind } from '../src/model/errors.ts'
import { KEY_SPECS, type KeySpec, specFacts } from '../src/model/key-specs.ts'
import { OPERATION_NAMES, type OperationName } from '../src/model/operations.ts'
import type { Operation } from '../src/operations/operation.ts'
import { registry } from '../src/operations/registry.ts'
import { stsCatalogue } from '../src/sts/errors.ts'
import { TASKS } from '../src/tasks/schedule.ts'
import { NO_ACCOUNT, OTHER_ACCOUNTS } from '../src/telemetry/account-labels.ts'
import { Metrics } from '../src/telemetry/metrics.ts'

const ROOT = fileURLToPath(new URL('..', import.meta.url))

/** The generated pages, by their path from the repository's root. */
export function generateDocs(): ReadonlyMap<string, string> {
  return new Map([
    ['docs/configuration.md', configurationPage()],
    ['docs/errors.md', errorsPage()],
    ['docs/operations.md', operationsPage()],
    ['docs/metrics.md', metricsPage()],
    ['docs/quotas.md', quotasPage()],
  ])
}

/** The pages that are not what {@link generateDocs} writes. */
export function staleDocs(): string[] {
  return [...generateDocs()].filter(([path, text]) => readIfThere(path) !== text).map(([path]) => path)
}

// --- configuration ---------------------------------------------------------------------------------------------------

interface JsonSchema {
  readonly type?: string
  readonly default?: unknown
  readonly enum?: readonly string[]
  readonly const?: string
  readonly anyOf?: readonly JsonSchema[]
  readonly pattern?: string
  readonly minLength?: number
  readonly maxLength?: number
  readonly minimum?: number
  readonly maximum?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly items?: JsonSchema
  readonly properties?: Readonly<Record<string, JsonSchema>>
  readonly required?: readonly string[]
  readonly propertyNames?: JsonSchema
  readonly additionalProperties?: JsonSchema | boolean
}

export interface ConfigurationField {
  /** `regions[].tokens[].uri`. */
  readonly path: string
  /** Type, bounds and default, in words. */
  readonly facts: string
  /** Undefined for required fields. */
  readonly default: unknown
  /** A field that only holds other fields. */
  readonly section: boolean
}

/** Every field of the configuration schema, sections included, in the schema's order. */
export function configurationFields(): ConfigurationField[] {
  return fieldsOf(z.toJSONSchema(configuration, { io: 'input' }) as JsonSchema, '')
}

function fieldsOf(schema: JsonSchema, path: string): ConfigurationField[] {
  if (schema.items !== undefined) return fieldsOf(schema.items, `${path}[]`)
  return Object.entries(schema.properties ?? {}).flatMap(([name, member]) => {
    const at = path === '' ? name : `${path}.${name}`
    const required = schema.required?.includes(name) === true
    const section = member.properties !== undefined
    const facts = [...(required ? ['required'] : []), typeOf(member), ...defaultOf(member, section)].join(', ')
    return [{ path: at, facts, default: member.default, section }, ...fieldsOf(member, at)]
  })
}

function typeOf(schema: JsonSchema): string {
  if (schema.properties !== undefined) return 'section'
  if (schema.const !== undefined) return schema.const
  if (schema.anyOf !== undefined) return schema.anyOf.map(typeOf).join(', or ')
  if (schema.enum !== undefined) return `one of ${schema.enum.join(', ')}`
  switch (schema.type) {
    case 'boolean':
      return 'true or false'
    case 'integer':
      return `integer${range(schema.minimum, schema.maximum, '')}`
    case 'array':
      return `list of ${schema.minItems} to ${schema.maxItems}`
    case 'object':
      return mapOf(schema)
    case 'string':
      return `text${range(schema.minLength, schema.maxLength, ' characters')}${pattern(schema.pattern)}`
    default:
      throw new Error(`a configuration field of type ${schema.type} has no words yet`)
  }
}

function mapOf({ propertyNames, additionalProperties }: JsonSchema): string {
  if (typeof additionalProperties !== 'object' || additionalProperties.type !== 'number')
    return `map of text to text, names with pattern ${propertyNames?.pattern}`
  return `map of request rates to numbers${range(additionalProperties.minimum, additionalProperties.maximum, '')}`
}

function defaultOf(schema: JsonSchema, section: boolean): string[] {
  if (section || schema.default === undefined) return []
  if (schema.default === '') return ['default empty']
  return [`default ${typeof schema.default === 'object' ? JSON.stringify(schema.default) : schema.default}`]
}

function pattern(source: string | undefined): string {
  return source === undefined ? '' : `, pattern ${source.replaceAll('\\/', '/')}`
}

export interface DocumentedField {
  readonly path: string
  /** The lines of the comment above the field, without `# ` and without the facts. */
  readonly meaning: readonly string[]
  /** What the last line of the comment holds in brackets. */
  readonly facts: string | undefined
}

/** The fields of an annotated YAML file with their comments. Block style only: two blanks a level, lists indented. */
export function documentedFields(yaml: string): DocumentedField[] {
  const fields: DocumentedField[] = []
  let comment: string[] = []
  let open: { readonly indent: number; readonly path: string }[] = []
  for (const line of yaml.split('\n')) {
    const [, words] = /^ *#(?: (.*))?$/.exec(line) ?? []
    const key = /^( *)(- )?([A-Za-z]\w*):/.exec(line)
    if (line.trimStart().startsWith('#')) comment.push(words ?? '')
    else if (key === null) comment = []
    else {
      const [, blanks = '', dash, name = ''] = key
      const indent = blanks.length
      open = open.filter(above => above.indent < indent)
      if (dash !== undefined) open.push({ indent: indent + 1, path: `${open.at(-1)?.path}[]` })
      const parent = open.at(-1)
      const path = parent === undefined ? name : `${parent.path}.${name}`
      open.push({ indent: dash === undefined ? indent : indent + 2, path })
      const [, facts] = /^\[(.*)\]$/.exec(comment.at(-1) ?? '') ?? []
      fields.push({ path, meaning: facts === undefined ? comment : comment.slice(0, -1), facts })
      comment = []
    }
  }
  return fields
}

function configurationPage(): string {
  const documented = new Map(documentedFields(read('config/reference.yaml')).map(field => [field.path, field]))
  const sections = configurationFields().map(({ path, facts }) => {
    const heading = path.includes('.') ? '###' : '##'
    const meaning = documented.get(path)?.meaning ?? []
    return `${heading} \`${path}\`\n\n${code(facts)}\n\n${markdown(meaning)}`
  })
  return page(
    'Configuration',
    'src/config/schema.ts and config/reference.yaml',
    `One YAML file, named by \`--config\`, by \`STRONGROOM_CONFIG\`, or \`${CONFIGURATION_DEFAULT}\`. An unknown field is a fault, and all
faults are told at once with their place. A file needs the required fields only:
[config/softhsm.yaml](../config/softhsm.yaml) is a small one, [config/production.yaml](../config/production.yaml) one for
hardware, [config/reference.yaml](../config/reference.yaml) has every field with its default.`,
    ...sections,
  )
}

/** Comment lines as Markdown: indented ones are code, an empty one ends a paragraph. */
function markdown(lines: readonly string[]): string {
  const blocks: string[] = []
  for (const block of lines.join('\n').split(/\n\n+/)) {
    blocks.push(block.startsWith('  ') ? `\`\`\`\n${block.replaceAll(/^ {2}/gm, '')}\n\`\`\`` : block)
  }
  return blocks.join('\n\n')
}

// --- errors ----------------------------------------------------------------------------------------------------------

function errorsPage(): string {
  const rows = (Object.keys(catalogue) as ErrorCode[]).map(error => {
    const { status, meaning, capitalMessage, silent } = errorKind(error)
    const message = silent ? 'none' : code(capitalMessage ? 'Message' : 'message')
    return [code(error), String(status), message, meaning]
  })
  const stsRows = Object.entries(stsCatalogue).map(([error, { status, meaning }]) => [
    code(error),
    String(status),
    meaning,
  ])
  return page(
    'Errors',
    'src/model/errors.ts',
    `Every error code that a caller can receive. The answer carries it in the header \`x-amzn-ErrorType\` and in the body:

\`\`\`
{"__type":"NotFoundException","message":"Alias arn:aws:kms:on-prem-1:000000000001:alias/a is not found."}
\`\`\`

The third column is the member of the body that holds the message. Some errors come without one. Anything but \`POST /\`
is answered \`UnknownOperationException\` with status 404.`,
    table(['Code', 'Status', 'Message in', 'Meaning'], rows),
    '## STS\n\nAnswered in XML, as the Query protocol does; codes and statuses are those of `src/sts/errors.ts`.',
    table(['Code', 'Status', 'Meaning'], stsRows),
  )
}

// --- operations ------------------------------------------------------------------------------------------------------

function operationsPage(): string {
  const served = OPERATION_NAMES.flatMap(name => registry.get(name) ?? [])
  const sources = operationSources()
  const overview = OPERATION_NAMES.map(name => {
    const operation = registry.get(name)
    if (operation === undefined) return [name, 'not yet', '']
    return [`[${name}](#${name.toLowerCase()})`, 'yes', operation.readOnly ? 'yes' : 'no']
  })
  return page(
    'Operations',
    'src/model/operations.ts, src/operations and src/model/key-specs.ts',
    `Of the ${OPERATION_NAMES.length} operations of the KMS API ${served.length} are served; the others answer \`UnsupportedOperationException\`. An operation
that is read-only changes no record.`,
    table(['Operation', 'Served', 'Read-only'], overview),
    `## Input

A value of the wrong type is a \`SerializationException\`, one out of the bounds below a \`ValidationException\` that says
where. An operation may be narrower than these bounds, as AWS's are, and says so in its error. A \`Recipient\` is refused
with \`UnsupportedOperationException\`: there is nothing here that attests. Blobs are base64 on the wire and measured in bytes. JSON null is an absent member, and unknown members are ignored.`,
    ...served.map(operation => operationSection(operation, sources.get(operation.name))),
    '## Key specs',
    table(['KeySpec', 'KeyUsage', 'Tokens that make it'], keySpecRows()),
  )
}

function operationSection(operation: Operation, source: OperationSource | undefined): string {
  if (source === undefined) throw new Error(`the source of ${operation.name} is not where operations are`)
  const rows = membersOf(operation.input, '')
  const input = rows.length === 0 ? 'No input.' : table(['Member', 'Required', 'Type and bounds'], rows)
  return `### ${operation.name}\n\n${source.meaning}\n([source](../${source.path}))\n\n${input}`
}

interface OperationSource {
  readonly path: string
  /** The comment above the definition. */
  readonly meaning: string
}

function operationSources(): ReadonlyMap<OperationName, OperationSource> {
  const paths = globSync('src/operations/*/*.ts', { cwd: ROOT }).filter(path =>
    registry.has(basename(path, '.ts') as OperationName),
  )
  return new Map(
    paths.map(path => {
      const name = basename(path, '.ts') as OperationName
      const [, comment] = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\nexport const \w+ = defineOperation/.exec(read(path)) ?? []
      if (comment === undefined) throw new Error(`${path}: the operation has no comment`)
      const words = comment
        .replaceAll(/^\s*\* ?/gm, '')
        .trim()
        .replaceAll(/\s+/g, ' ')
      return [name, { path, meaning: words.replaceAll(/ \(security\.md [\d.]+\)/g, '') }]
    }),
  )
}

type AnyShape = z.core.$ZodTypes

/** A row for each member of a structure, those inside its members after them. */
function membersOf(structure: z.ZodObject, prefix: string): string[][] {
  return Object.entries(structure.shape).flatMap(([name, member]) => {
    const shape = behindOptional(member)
    const path = `${prefix}${name}`
    return [[code(path), shape === member ? 'yes' : 'no', shapeWords(shape)], ...innerMembers(shape, path)]
  })
}

function innerMembers(shape: AnyShape, path: string): string[][] {
  const { def } = shape._zod
  if (def.type === 'object') return membersOf(shape as z.ZodObject, `${path}.`)
  return def.type === 'array' ? innerMembers(behindOptional(def.element), `${path}[]`) : []
}

function behindOptional(shape: z.core.$ZodType): AnyShape {
  const { def } = (shape as AnyShape)._zod
  return def.type === 'optional' ? behindOptional(def.innerType) : (shape as AnyShape)
}

function shapeWords(shape: AnyShape): string {
  const { def } = shape._zod
  if (def.type === 'transform') return customWords(shape)
  const schema = z.toJSONSchema(shape, { io: 'input', unrepresentable: 'any' }) as JsonSchema
  switch (def.type) {
    case 'string': {
      const expression = schema.pattern === undefined ? '' : `, pattern ${code(schema.pattern.replaceAll('\\/', '/'))}`
      return `text${range(schema.minLength, schema.maxLength, ' characters')}${expression}`
    }
    case 'number':
      return `integer${range(schema.minimum, schema.maximum, '')}`
    case 'boolean':
      return 'boolean'
    case 'enum':
      return `one of ${Object.values(def.entries).map(String).map(code).join(', ')}`
    case 'array':
      return `list${range(schema.minItems, schema.maxItems, '')}; each: ${shapeWords(behindOptional(def.element))}`
    case 'object':
      return 'structure'
    default:
      throw new Error(`a shape of type ${def.type} has no words yet`)
  }
}

/** More than any custom shape takes. */
const TOO_LONG = 1_048_577

/** A custom shape is closed code, so it is asked: it says what it is, and which bound a value breaks. */
function customWords(shape: AnyShape): string {
  const whatItIs = refusal(shape, 0)
  if (whatItIs?.endsWith('a Blob')) {
    const min = boundIn(refusal(shape, ''))
    const max = boundIn(refusal(shape, Buffer.alloc(TOO_LONG).toString('base64')))
    return `blob${range(min, max, ' bytes')}`
  }
  if (whatItIs === undefined && refusal(shape, '')?.endsWith('a Timestamp') === true) return 'timestamp, seconds'
  if (whatItIs === 'Expected a map of strings') {
    const max = boundIn(refusal(shape, { key: 'v'.repeat(TOO_LONG) }))
    return `map of text to text${range(undefined, max, ' bytes of UTF-8 together')}`
  }
  throw new Error(`a custom shape that refuses a number with "${whatItIs}" has no words yet`)
}

function refusal(shape: AnyShape, value: unknown): string | undefined {
  const { error } = z.safeParse(shape, value)
  const [issue] = error?.issues ?? []
  return issue?.code === 'custom' ? (issue.params as { refusal: Refusal }).refusal.words : undefined
}

function boundIn(words: string | undefined): number | undefined {
  const [digits] = /\d+$/.exec(words ?? '') ?? []
  return digits === undefined ? undefined : Number(digits)
}

function keySpecRows(): string[][] {
  return KEY_SPECS.map(spec => {
    const { algorithms } = specFacts(spec)
    return [code(spec), Object.keys(algorithms).map(code).join(', '), tokensFor(spec)]
  })
}

/** Which tokens make keys of a spec. */
function tokensFor(spec: KeySpec): string {
  const needs = needsOf(spec)
  if (needs === undefined) return 'all'
  if (needs.mechanisms.length === 0) return 'none: PKCS#11 has no mechanism'
  const mechanisms = needs.mechanisms.map(code).join(' and ')
  return needs.kind === undefined
    ? `none yet: proven on no token; would need ${mechanisms}`
    : `those with ${mechanisms}`
}

// --- metrics ---------------------------------------------------------------------------------------------------------

/** Where the values of each label come from; every label of a metric is here. */
const LABELS: Readonly<Record<string, string>> = {
  operation:
    'an operation of the KMS API, `sts:` and an action of STS, `cloudtrail:LookupEvents`, or `unknown` in place of either',
  outcome: `\`ok\`, or an error code of [errors.md](errors.md); of \`strongroom_request_duration_seconds\` \`ok\`, \`refused\` (the caller's
fault) or \`failed\` (ours); of \`strongroom_hsm_probes_total\` \`passed\` or \`failed\`; of transactions \`committed\` or
\`rolled-back\`; of tasks \`done\` or \`failed\``,
  account: `the caller's, if it is one of the first \`telemetry.accountLabels\` that proved who they are since the start, or else
\`${OTHER_ACCOUNTS}\`; \`${NO_ACCOUNT}\` where the caller proved nothing`,
  region: 'a configured region',
  token: "a configured token: its URI's `token`, or else its `serial`, or else its place in the list",
  command: COMMAND_NAMES.map(code).join(', '),
  mechanism: `what the command has the token compute, by its standard: ${[AES_GCM, HMAC, HMAC_SHA_256, ECDH, ML_KEM, RANDOM, NONE].map(code).join(', ')}; or, where
a request chooses it, a signing, encryption or wrapping algorithm, or the spec of the key that is made`,
  quota: '`account` or `principal`',
  rate: 'a rate of [quotas.md](quotas.md)',
  reason: '`busy` (beyond `hsm.maxCommands`) or `unavailable` (no token answered)',
  kind: FAULT_KINDS.map(code).join(', '),
  state: TOKEN_STATES.map(code).join(', '),
  table: 'a table of the key store whose rows carry MACs',
  file: '`database` or `wal`',
  part: '`write`, `checkpoint`, `store`, or a sink that lines are forwarded to',
  what: '`size` or `free`',
  sink: '`syslog` or `http`: where the audit log is forwarded to',
  task: TASKS.map(code).join(', '),
}

/** Metrics that prom-client names. */
const OF_RUNTIME = /^strongroom_(?:process|nodejs)_/

function metricsPage(): string {
  const metrics = new Metrics().registry.getMetricsAsArray().map(metric => {
    const { labelNames } = metric as unknown as { readonly labelNames: readonly string[] }
    const cells = [code(metric.name), String(metric.type), labelNames.map(code).join(', '), metric.help]
    return { labelNames, cells, ofRuntime: OF_RUNTIME.test(metric.name) }
  })
  const ours = metrics.filter(({ ofRuntime }) => !ofRuntime)
  for (const name of ours.flatMap(({ labelNames }) => labelNames))
    if (!(name in LABELS)) throw new Error(`nothing says where the values of the label ${name} come from`)
  const columns = ['Name', 'Type', 'Labels', 'Meaning']
  return page(
    'Metrics',
    'src/telemetry/metrics.ts',
    `\`GET /metrics\` on the admin listener, in the text format of Prometheus. How to scrape it, alerts and a dashboard:
[monitoring.md](monitoring.md).`,
    '## Of Strongroom',
    table(
      columns,
      ours.map(({ cells }) => cells),
    ),
    'Labels have these values and no others, so no caller can add one:',
    table(
      ['Label', 'Values'],
      Object.entries(LABELS).map(([name, values]) => [code(name), values.replaceAll('\n', ' ')]),
    ),
    `What tokens, hosts and the store do is told by event; hosts tell of sessions, memory, CPU and their caches with each
known-answer command, every \`hsm.healthIntervalMs\`.`,
    '## Of the process and its runtime',
    'From prom-client, for the daemon process; HSM hosts are processes of their own, and have rows above.',
    table(
      columns,
      metrics.filter(({ ofRuntime }) => ofRuntime).map(({ cells }) => cells),
    ),
  )
}

// --- quotas ----------------------------------------------------------------------------------------------------------

const WHAT_COUNTS: Readonly<Partial<Record<RateName, string>>> = {
  symmetric: 'Encrypt, Decrypt and ReEncrypt with symmetric keys, data keys, MACs, GenerateRandom',
  rsa: 'Encrypt, Decrypt, ReEncrypt, Sign and Verify with RSA keys',
  ecc: 'Sign, Verify and DeriveSharedSecret with keys of other kinds; Encapsulate and Decapsulate',
  rsa2048DataKeyPairs: 'data key pairs of RSA_2048',
  rsa3072DataKeyPairs: 'data key pairs of RSA_3072',
  rsa4096DataKeyPairs: 'data key pairs of RSA_4096',
  eccDataKeyPairs: 'data key pairs of the other curves',
  p384DataKeyPairs: 'data key pairs of ECC_NIST_P384',
  p521DataKeyPairs: 'data key pairs of ECC_NIST_P521',
  sts: 'GetCallerIdentity and AssumeRole',
  lookupEvents: 'LookupEvents of CloudTrail',
}

function quotasPage(): string {
  const rows = RATE_NAMES.map(name => {
    if (name === ALL_REQUESTS) return [code(name), 'every request, whatever it is', 'none']
    return [code(name), WHAT_COUNTS[name] ?? 'the operation', String(AWS_REQUEST_RATES[name])]
  })
  return page(
    'Quotas and request rates',
    'src/base/request-rates.ts and scripts/generate-docs.ts',
    `## How much there may be

\`quotas\` in the [configuration](configuration.md#quotas) bounds the keys of an account in a region, the aliases, grants and tags
of a key, and the size of a key policy. Keys of services do not count. The defaults are AWS's. What would go beyond one is
refused with \`LimitExceededException\` (tags with \`TagException\`); a quota that is lowered takes nothing away that is there. A
key has 25 rotations on demand and 25 valid wrapping keys of imports, whatever is configured.`,
    `## How fast callers may ask

\`quotas.requests\` bounds the requests a second of an account (all of its principals together) and of each principal: a user, a
service, or a role with all of its sessions. What comes faster is refused with \`ThrottlingException\`, which every AWS SDK
repeats after a pause. It is decided once the caller is proven and the input read, before records are read or a token is asked;
\`DryRun\` counts, and so does a request that is denied afterwards. A request that is refused for its rate counts for nothing,
so that a principal cannot use up the rate of its account. A second's worth may come at once. Each daemon counts for itself.
\`strongroom_requests_throttled_total\` says whom it hits.

Without numbers nobody is throttled: what is too much depends on the tokens, of which one makes fifteen thousand data keys a second
and another one hundred. Give every principal half of what \`npm run -s bench\` shows for yours, and no single application can
starve the others:

\`\`\`yaml
quotas:
  requests:
    principal: { all: 5000, CreateKey: 5 }
\`\`\`

\`preset: aws\` gives every account the rates of the last column; numbers of your own in \`account\` go before them. A number by
\`all\` counts beside the others. 10,000 accounts and as many principals are remembered for each region; whoever was silent for
longest begins anew.`,
    table(['Name', 'What is counted', "AWS's rate of an account, a second"], rows),
  )
}

// --- pages -----------------------------------------------------------------------------------------------------------

function page(title: string, source: string, ...parts: readonly string[]): string {
  const note = `<!-- Generated from ${source} by scripts/generate-docs.ts: change those, then run it. -->`
  return `${[note, `# ${title}`, ...parts].join('\n\n')}\n`
}

function table(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(columns), line(columns.map(() => '---')), ...rows.map(line)].join('\n')
}

function code(text: string): string {
  return `\`${text}\``
}

/** `, 1 to 8 characters`; empty without bounds. */
function range(min: number | undefined, max: number | undefined, unit: string): string {
  if (min === undefined && max === undefined) return ''
  if (max === undefined) return `, at least ${min}${unit}`
  return min === undefined ? `, at most ${max}${unit}` : `, ${min} to ${max}${unit}`
}

function read(path: string): string {
  return readFileSync(`${ROOT}/${path}`, 'utf8')
}

function readIfThere(path: string): string | undefined {
  try {
    return read(path)
  } catch {
    return undefined
  }
}

function main({ check }: { check?: true }): void {
  const stale = staleDocs()
  if (check) {
    for (const path of stale) process.stderr.write(`${path} is stale: run ./scripts/node scripts/generate-docs.ts\n`)
    process.exitCode = stale.length === 0 ? 0 : 1
    return
  }
  const pages = generateDocs()
  for (const path of stale) {
    writeFileSync(`${ROOT}/${path}`, pages.get(path) ?? '')
    process.stdout.write(`wrote ${path}\n`)
  }
}

if (import.meta.main) {
  const { check } = new Command(basename(import.meta.filename))
    .description('write the generated pages of docs/')
    .option('--check', 'write nothing; end with code 1 when a page is stale')
    .parse()
    .opts<{ check?: true }>()
  main(check ? { check } : {})
}
