/** Holds a copy against its manifest, and the manifest against the token that signed it. */
import { statSync } from 'node:fs'
import { readCopy } from '../../store/dialects/sqlite-copy.ts'
import type { RowSigner } from '../../store/row-signer.ts'
import { CommandFailed } from '../admin-client.ts'
import { type BackupManifest, isGenuine } from './backup-manifest.ts'
import { digestOfFile } from './digest-of-file.ts'

/** Byte for byte. Throws {@link CommandFailed}. */
export async function requireUnchanged(path: string, { bytes, sha256 }: BackupManifest): Promise<void> {
  const found = statSync(path, { throwIfNoEntry: false })?.size
  if (found === undefined) throw new CommandFailed(`${path} is not there`)
  if (found !== bytes) throw new CommandFailed(`${path} has ${found} bytes, and its manifest says ${bytes}`)
  if ((await digestOfFile(path)) !== sha256)
    throw new CommandFailed(`${path} is not what was copied: its SHA-256 is another than its manifest says`)
}

/** Throws {@link CommandFailed} when no token of this configuration has signed the manifest. */
export async function requireSigned(signer: RowSigner, path: string, manifest: BackupManifest): Promise<void> {
  if (await isGenuine(signer, manifest)) return
  throw new CommandFailed(
    `the manifest of ${path} was changed, or its tokens are others, or the version of the domain keys that it was made under ` +
      '(see "domain show") was destroyed: a backup from before that cannot be restored by anybody',
  )
}

/** That the copy is a whole key store, whose ledgers stand where the manifest says. Throws {@link CommandFailed}. */
export function requireSameLedgers(path: string, { ledgers }: BackupManifest): void {
  const found = readCopy(path).map(({ region, epoch, digest }) => `${region} ${epoch} ${digest.toString('hex')}`)
  const said = ledgers.map(({ region, epoch, digest }) => `${region} ${epoch} ${digest}`)
  if (found.join() !== said.toSorted().join())
    throw new CommandFailed(`${path} holds other ledgers than its manifest says`)
}
