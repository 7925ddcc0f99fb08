/**
 * `strongroom import-material`: puts a key that a user has in a file into a KMS key of Origin EXTERNAL, through the API like
 * any other caller. It needs no OpenSSL, no daemon's configuration and no right but the caller's own.
 */
import { readFileSync } from 'node:fs'
import { type Command, InvalidArgumentError, Option } from 'commander'
import { wipe } from '../../base/bytes.ts'
import {
  IMPORT_TYPES,
  type ImportType,
  WRAPPING_ALGORITHMS,
  WRAPPING_KEY_SPECS,
  type WrappingAlgorithm,
  type WrappingKeySpec,
  wrappingFacts,
} from '../../model/imports.ts'
import type { KeySpec } from '../../model/key-specs.ts'
import { CommandFailed } from '../admin-client.ts'
import { type AwsOptions, type AwsSettings, awsSettings } from '../aws-settings.ts'
import { callKms } from '../kms-client.ts'
import { outputOption } from '../options.ts'
import { printRecords } from '../print.ts'
import { readSecretLine } from '../read-secret.ts'
import { materialOf, usualAlgorithm, wantsPassphrase, wrapMaterial } from '../wrap-material.ts'

interface Options extends AwsOptions {
  readonly keyId: string
  readonly material: string
  readonly wrappingAlgorithm?: WrappingAlgorithm
  readonly wrappingKeySpec: WrappingKeySpec
  readonly expires?: Date
  readonly importType?: ImportType
  readonly description?: string
  readonly output: 'text' | 'json'
}

/** More than any key file has. */
const FILE_MAX_BYTES = 65_536
const MS_PER_SECOND = 1_000
const algorithms = WRAPPING_ALGORITHMS.filter(name => wrappingFacts(name) !== undefined)

export function addImportMaterial(program: Command): void {
  program
    .command('import-material')
    .description('import a key from a file into a KMS key of Origin EXTERNAL')
    .requiredOption('--key-id <ID>', 'the KMS key: its id or ARN')
    .requiredOption('--material <FILE>', 'raw bytes of a secret, or a private key as PEM or DER')
    .option('--endpoint <URL>', 'the KMS API (AWS_ENDPOINT_URL; http://127.0.0.1:7600 if not told)')
    .option('--region <REGION>', 'its region (AWS_REGION; on-prem-1 if not told)')
    .option('--profile <NAME>', 'profile of the shared credentials file, in place of the environment')
    .addOption(new Option('--wrapping-algorithm <NAME>', 'by the kind of key if not told').choices(algorithms))
    .addOption(
      new Option('--wrapping-key-spec <SPEC>', 'the key that it is wrapped under')
        .choices(WRAPPING_KEY_SPECS.filter(spec => spec.startsWith('RSA_')))
        .default('RSA_3072'),
    )
    .option('--expires <TIME>', 'when the material is deleted by itself, such as 2027-01-31T12:00:00Z', time)
    .addOption(new Option('--import-type <TYPE>', 'of symmetric keys').choices(IMPORT_TYPES))
    .option('--description <TEXT>', 'of this material, for symmetric keys')
    .addOption(outputOption())
    .action(importMaterial)
}

async function importMaterial(options: Options): Promise<void> {
  const settings = awsSettings(options)
  const file = readKeyFile(options.material)
  const spec = await specOf(settings, options.keyId)
  const passphrase = wantsPassphrase(file) ? await readSecretLine('Passphrase of the private key: ') : undefined
  const material = materialOf(spec, file, passphrase)
  try {
    const { wrappingAlgorithm = usualAlgorithm(spec), wrappingKeySpec } = options
    say(options, `asking for a wrapping key of ${wrappingKeySpec}`)
    const parameters = await callKms(settings, 'GetParametersForImport', {
      ...{ KeyId: options.keyId, WrappingAlgorithm: wrappingAlgorithm, WrappingKeySpec: wrappingKeySpec },
    })
    say(options, `wrapping the material for ${spec} by ${wrappingAlgorithm}`)
    const publicKey = Buffer.from(String(parameters.PublicKey), 'base64')
    const imported = await callKms(settings, 'ImportKeyMaterial', {
      KeyId: options.keyId,
      ImportToken: parameters.ImportToken,
      EncryptedKeyMaterial: wrapMaterial(wrappingAlgorithm, publicKey, material).toString('base64'),
      ...expiryOf(options),
      ...(options.importType === undefined ? {} : { ImportType: options.importType }),
      ...(options.description === undefined ? {} : { KeyMaterialDescription: options.description }),
    })
    say(options, 'imported; keep the file, or destroy it, as your policy has it: the HSM does not give the key back')
    printRecords(options.output, imported)
  } finally {
    wipe(material, file)
  }
}

async function specOf(settings: AwsSettings, KeyId: string): Promise<KeySpec> {
  const { KeyMetadata } = await callKms(settings, 'DescribeKey', { KeyId })
  const { KeySpec, Origin } = KeyMetadata as { KeySpec: KeySpec; Origin: string }
  if (Origin === 'EXTERNAL') return KeySpec
  throw new CommandFailed(`${KeyId} has Origin ${Origin}: create a key with --origin EXTERNAL to import into`)
}

function expiryOf({ expires }: Options): Record<string, unknown> {
  if (expires === undefined) return { ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' }
  return { ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: expires.getTime() / MS_PER_SECOND }
}

function readKeyFile(path: string): Buffer {
  try {
    const file = readFileSync(path)
    if (file.length > 0 && file.length <= FILE_MAX_BYTES) return file
    throw new CommandFailed(`${path} has ${file.length} bytes and is no key file`)
  } catch (error) {
    if (error instanceof CommandFailed) throw error
    throw new CommandFailed(`${path} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

function time(text: string): Date {
  const date = new Date(text)
  if (Number.isNaN(date.getTime())) throw new InvalidArgumentError('not a time of ISO 8601')
  return date
}

function say({ output }: Options, line: string): void {
  if (output === 'text') process.stderr.write(`${line}\n`)
}
