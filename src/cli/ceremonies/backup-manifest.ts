/**
 * What stands beside a copy of the key store: how many bytes it has and their SHA-256, where each region's ledger stood, and a
 * MAC of a token over all of it, so that nobody who has the copy alone can change it. JSON; the MAC is that of a record of the
 * table `backups` (formats/row-mac.ts), whose content is the SHA-256 of the members before it, in their order.
 */
import { hash } from 'node:crypto'
import { readFileSync, writeFileSync } from 'node:fs'
import { z } from 'zod'
import { REGION_NAME_MAX } from '../../base/region.ts'
import type { MacedRow, RowMac, RowSigner } from '../../store/row-signer.ts'
import { CommandFailed } from '../admin-client.ts'

const FORMAT = 'strongroom-backup/1'
const TABLE = 'backups'
const MANIFEST_MAX_BYTES = 65_536

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))
const count = z.int().nonnegative()

const contents = z.strictObject({
  format: z.literal(FORMAT),
  madeAtMs: count,
  bytes: count,
  sha256: hex(32),
  /** Where the ledger of each region stood. */
  ledgers: z
    .array(z.strictObject({ region: z.string().max(REGION_NAME_MAX), epoch: count, digest: hex(32) }))
    .max(1_000),
})
const manifest = contents.extend({
  region: z.string().max(REGION_NAME_MAX),
  macVersion: count,
  mac: hex(32),
})
export type BackupContents = Omit<z.infer<typeof contents>, 'format'>
export type BackupManifest = z.infer<typeof manifest>

export const manifestPathOf = (path: string) => `${path}.manifest`

export async function signManifest(signer: RowSigner, described: BackupContents): Promise<BackupManifest> {
  const signed = contents.parse({ format: FORMAT, ...described })
  const [made] = await signer.sign([{ ...rowOf(signed), region: undefined }])
  if (made === undefined) throw new CommandFailed('no token signed the manifest')
  const { region, macVersion, mac } = made
  return { ...signed, region, macVersion, mac: mac.toString('hex') }
}

/** Whether a token has signed it. */
export async function isGenuine(signer: RowSigner, read: BackupManifest): Promise<boolean> {
  const { region, macVersion, mac, ...described } = read
  const rowMac: RowMac = { region, macVersion, mac: Buffer.from(mac, 'hex') }
  const [good] = await signer.verify([{ ...rowOf(described), ...rowMac }])
  return good === true
}

export function writeManifest(path: string, signed: BackupManifest): void {
  writeFileSync(manifestPathOf(path), `${JSON.stringify(signed, null, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true })
}

/** Throws {@link CommandFailed} when there is none, or another file. */
export function readManifest(path: string): BackupManifest {
  let text: string
  try {
    text = readFileSync(manifestPathOf(path), 'utf8')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    throw new CommandFailed(`${path} has no manifest beside it that can be read (${manifestPathOf(path)}: ${code})`)
  }
  if (text.length > MANIFEST_MAX_BYTES) throw new CommandFailed(`${manifestPathOf(path)} is too long for a manifest`)
  const parsed = manifest.safeParse(jsonOf(text))
  if (!parsed.success) throw new CommandFailed(`${manifestPathOf(path)} is not the manifest of a backup`)
  return parsed.data
}

function rowOf({ format, madeAtMs, bytes, sha256, ledgers }: z.infer<typeof contents>): MacedRow {
  const covered = JSON.stringify({ format, madeAtMs, bytes, sha256, ledgers: ledgers.map(ledgerOf) })
  return { table: TABLE, primaryKey: sha256, generation: madeAtMs, content: hash('sha256', covered, 'buffer') }
}

/** Members in one order, whatever the file has. */
function ledgerOf({ region, epoch, digest }: BackupManifest['ledgers'][number]): BackupManifest['ledgers'][number] {
  return { region, epoch, digest }
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
