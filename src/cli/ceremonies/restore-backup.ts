/**
 * Puts a copy of the key store in its place: checked as a whole before anything is moved, and compared with what the tokens
 * remember. The store that was there is kept beside it.
 */
import { constants, copyFileSync, existsSync, renameSync, rmSync } from 'node:fs'
import type { Anchor } from '../../formats/row-ledger.ts'
import type { CheckFinding, Store } from '../../store/store.ts'
import type { RegionAnchor } from '../../store/stored-row-macs.ts'
import { CommandFailed } from '../admin-client.ts'
import type { KeyStore } from '../open-key-store.ts'
import { type BackupManifest, readManifest } from './backup-manifest.ts'
import { requireSameLedgers, requireSigned, requireUnchanged } from './check-backup.ts'
import { syncFolder } from './make-backup.ts'
import type { SweepProgress } from './sweep.ts'

/** Files that SQLite keeps beside a database; the log first: without it the database is an older one, and not a broken one. */
const COMPANIONS = ['-wal', '-shm'] as const
const FINDINGS_NAMED = 10

export interface RestoreRequest {
  /** The copy. */
  readonly from: string
  /** The state folder, and the key store in it. */
  readonly folder: string
  readonly to: string
  /** Whether a store that is there already gives way. */
  readonly replace: boolean
  /** Whether the copy may be older than what the tokens remember. */
  readonly acceptOlder: boolean
  /**
   * Whether the copy is from before a rotation: no token can sign as it says, and none is asked. The rotation that must follow
   * verifies every record.
   */
  readonly beforeRotation: boolean
  readonly nowMs: number
}

export interface Restored {
  readonly madeAtMs: number
  /** Regions whose tokens remember a later store, with what they remember. */
  readonly older: readonly RegionAnchor[]
  /** Where the store that gave way is kept; undefined when there was none. */
  readonly replaced: string | undefined
}

/**
 * `open` opens the copy that was taken in, which is the one of that manifest, and has the last word before anything is moved.
 * Throws {@link CommandFailed}; nothing has changed then.
 */
export async function restoreBackup(
  { from, folder, to, replace, acceptOlder, beforeRotation, nowMs }: RestoreRequest,
  open: (
    path: string,
    manifest: BackupManifest,
    use: (opened: KeyStore) => Promise<RegionAnchor[]>,
  ) => Promise<RegionAnchor[]>,
  onProgress: (progress: SweepProgress) => void,
): Promise<Restored> {
  const manifest = readManifest(from)
  if (existsSync(to) && !replace)
    throw new CommandFailed(`${to} is there already: --replace puts it aside and the copy in its place`)
  const taken = `${to}.restoring`
  removeStore(taken)
  try {
    await requireUnchanged(from, manifest)
    copyFileSync(from, taken, constants.COPYFILE_EXCL)
    await requireUnchanged(taken, manifest)
    requireSameLedgers(taken, manifest)
    const older = await open(taken, manifest, async ({ store, rows, anchors }) => {
      if (beforeRotation) {
        await requireNoOfficers(store, from)
        return []
      }
      await requireSigned(rows.signer, from, manifest)
      const behind = await ledgersBehind(store, manifest.ledgers, region => anchors.read(region))
      if (behind.length > 0 && !acceptOlder) throw new CommandFailed(refusalOf(from, manifest.ledgers, behind))
      await requireSound(store, onProgress)
      return behind
    })
    const replaced = putAside(to, nowMs)
    renameSync(taken, to)
    syncFolder(folder)
    return { madeAtMs: manifest.madeAtMs, older, replaced }
  } finally {
    removeStore(taken)
  }
}

/** What the tokens remember of the regions whose ledgers have not come so far, or are others. */
export async function ledgersBehind(
  store: Store,
  ledgers: readonly { readonly region: string }[],
  remembered: (region: string) => Promise<Anchor | undefined>,
): Promise<RegionAnchor[]> {
  const behind: RegionAnchor[] = []
  for (const { region } of ledgers) {
    const anchor = await remembered(region)
    const own = await store.rowMacs.anchorOf(region)
    if (anchor === undefined || own === undefined || own.epoch > anchor.epoch) continue
    if (own.epoch < anchor.epoch || !own.digest.equals(anchor.digest)) behind.push({ region, ...anchor })
  }
  return behind
}

function refusalOf(
  from: string,
  ledgers: readonly { readonly region: string; readonly epoch: number }[],
  behind: readonly RegionAnchor[],
): string {
  const lines = behind.map(({ region, epoch }) => {
    const own = ledgers.find(each => each.region === region)?.epoch ?? 0
    return `  ${region}: the copy stands at epoch ${own}, the tokens remember ${epoch}`
  })
  return [
    `${from} is older than what the tokens remember:`,
    ...lines,
    'What was changed since is not in it: keys made since are lost; grants, policies and keys taken back since are there again.',
    '--accept-older restores it all the same, and leaves a record',
  ].join('\n')
}

/** Officers who cannot be verified cannot approve the rotation that must follow. */
async function requireNoOfficers({ reader }: Store, from: string): Promise<void> {
  await reader.findDualControl().catch((error: Error) => {
    throw new CommandFailed(
      `${from} says who approves ceremonies, and no token vouches for that: it cannot be restored from before a rotation (${error.message})`,
    )
  })
}

async function requireSound(store: Store, onProgress: (progress: SweepProgress) => void): Promise<void> {
  const findings: CheckFinding[] = []
  for await (const { done, total, found } of store.check()) {
    findings.push(...found.slice(0, FINDINGS_NAMED - findings.length))
    onProgress({ done, total })
  }
  if (findings.length === 0) return
  const named = findings.map(({ table, primaryKey, reason }) => `  ${table} ${primaryKey}: ${reason}`)
  throw new CommandFailed(['the copy holds records that tokens refuse:', ...named].join('\n'))
}

/** Returns where the store that was there is from now on. */
function putAside(path: string, nowMs: number): string | undefined {
  const aside = `${path}.replaced-${new Date(nowMs).toISOString().replace(/[-:.]/g, '')}`
  for (const companion of COMPANIONS) if (existsSync(path + companion)) renameSync(path + companion, aside + companion)
  if (!existsSync(path)) return undefined
  renameSync(path, aside)
  return aside
}

function removeStore(path: string): void {
  for (const suffix of ['', ...COMPANIONS]) rmSync(path + suffix, { force: true })
}
