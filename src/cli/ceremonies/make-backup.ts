/** Makes a copy of the key store while it is in use, with a manifest that a token has signed. */
import { closeSync, existsSync, fsyncSync, openSync, renameSync, rmSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { readCopy } from '../../store/dialects/sqlite-copy.ts'
import type { RowSigner } from '../../store/row-signer.ts'
import type { Store } from '../../store/store.ts'
import type { CopiedHead } from '../../store/stored-row-macs.ts'
import { CommandFailed } from '../admin-client.ts'
import { type BackupManifest, manifestPathOf, signManifest, writeManifest } from './backup-manifest.ts'
import { digestOfFile } from './digest-of-file.ts'
import type { SweepProgress } from './sweep.ts'

export interface BackupParts {
  readonly store: Pick<Store, 'copyTo' | 'rowMacs'>
  readonly signer: RowSigner
  readonly clock: Clock
  readonly onProgress?: (progress: SweepProgress) => void
}

/** `target` is a file that is not there yet, or a folder, which gets one named after the moment. Returns its path. */
export async function makeBackup(
  parts: BackupParts,
  target: string,
): Promise<{ path: string; manifest: BackupManifest }> {
  const { store, signer, clock, onProgress } = parts
  const madeAtMs = clock()
  const path = isFolder(target) ? join(target, nameAt(madeAtMs)) : target
  for (const taken of [path, manifestPathOf(path)])
    if (existsSync(taken)) throw new CommandFailed(`${taken} is there already`)
  const unfinished = `${path}.part`
  rmSync(unfinished, { force: true })
  try {
    await store.copyTo(unfinished, onProgress)
    const heads = readCopy(unfinished)
    await requireGenuine(signer, heads)
    const sha256 = await digestOfFile(unfinished)
    const ledgers = heads.map(({ region, epoch, digest }) => ({ region, epoch, digest: digest.toString('hex') }))
    const manifest = await signManifest(signer, { madeAtMs, bytes: statSync(unfinished).size, sha256, ledgers })
    writeManifest(path, manifest)
    renameSync(unfinished, path)
    syncFolder(dirname(path))
    return { path, manifest }
  } finally {
    rmSync(unfinished, { force: true })
  }
}

/** What was copied is what tokens have signed. */
async function requireGenuine(signer: RowSigner, heads: readonly CopiedHead[]): Promise<void> {
  if (heads.length === 0) throw new CommandFailed('the key store has no records yet: run "strongroom init" first')
  const verdicts = await signer.verify(
    heads.map(({ region, epoch, digest, macVersion, mac }) => ({
      ...{ table: 'ledger_heads', primaryKey: region, generation: epoch, content: digest },
      ...{ region, macVersion, mac },
    })),
  )
  const refused = heads.filter((_head, at) => verdicts[at] !== true)
  if (refused.length === 0) return
  throw new CommandFailed(`the ledger of ${refused.map(({ region }) => region).join(', ')} was changed by other means`)
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

function nameAt(ms: number): string {
  return `strongroom-${new Date(ms).toISOString().replace(/[-:]/g, '').replace('.', '')}.db`
}

export function syncFolder(path: string): void {
  const folder = openSync(path, 'r')
  try {
    fsyncSync(folder)
  } finally {
    closeSync(folder)
  }
}
