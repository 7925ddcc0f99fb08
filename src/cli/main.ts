/**
 * The `strongroom` command. Ceremonies and `hsm inspect` open store and tokens themselves, daemon running or not, and
 * `authz simulate` needs neither; everything else asks the running daemon over its admin socket.
 */
import { readFileSync } from 'node:fs'
import { Command, CommanderError } from 'commander'
import { CertificateUnusable } from '../api/certificate.ts'
import { NotReady } from '../compose-pools.ts'
import { ConfigurationError } from '../config/load.ts'
import { HsmFault } from '../hsm/contract/fault.ts'
import { PoolUnavailable } from '../hsm/pool/pool.ts'
import { IdentityRefused } from '../identities/refused.ts'
import { KmsError } from '../model/errors.ts'
import { RowRefused, StoreRolledBack, StoreUnusable, StoreUnwritable } from '../store/faults.ts'
import { CommandFailed } from './admin-client.ts'
import { addAudit } from './commands/audit.ts'
import { addAuthz } from './commands/authz.ts'
import { addBackup } from './commands/backup.ts'
import { addCeremony } from './commands/ceremony.ts'
import { addDomain } from './commands/domain.ts'
import { addHsm } from './commands/hsm.ts'
import { addIdentity } from './commands/identity.ts'
import { addImportMaterial } from './commands/import-material.ts'
import { addInit } from './commands/init.ts'
import { addOfficer } from './commands/officer.ts'
import { addServe } from './commands/serve.ts'
import { addStore } from './commands/store.ts'

/** Errors whose message is meant for the operator; any other is a bug and shows its stack. */
const EXPECTED = [
  CertificateUnusable,
  CommandFailed,
  ConfigurationError,
  IdentityRefused,
  KmsError,
  NotReady,
  PoolUnavailable,
  RowRefused,
  StoreRolledBack,
  StoreUnusable,
  StoreUnwritable,
]

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string
}
const program = new Command('strongroom')
  .description('a key management service on PKCS#11 HSMs that speaks the AWS KMS API')
  .version(version)
  // `domain destroy-version --version N` means another version than `strongroom --version`.
  .enablePositionalOptions()
  .showHelpAfterError('(--help tells more)')
  .addHelpText(
    'after',
    `
identity, hsm status, hsm unlock, hsm resident-keys, audit query and authz explain ask the running daemon; authz simulate and
audit verify with --public-key need none. The
others work with the key store and the tokens themselves, daemon running or not, as the user that owns the state folder.
STRONGROOM_CONFIG names the configuration file for all.`,
  )
  .exitOverride()

addServe(program)
addInit(program)
addIdentity(program)
addImportMaterial(program)
addHsm(program)
addAuthz(program)
addAudit(program)
addDomain(program)
addOfficer(program)
addCeremony(program)
addStore(program)
addBackup(program)

try {
  await program.parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode
  else {
    process.stderr.write(`strongroom: ${explain(error as Error)}\n`)
    process.exitCode = 1
  }
}

function explain(error: Error): string | undefined {
  // The kind of a fault is for the pool to act upon.
  if (error instanceof HsmFault) return error.reason
  return EXPECTED.some(kind => error instanceof kind) ? error.message : error.stack
}
