/** How the lines of a block of the audit log lie in its row: compressed to a tenth (Zstandard, RFC 8878), with a checksum. */
import { promisify } from 'node:util'
import { constants, zstdCompressSync, zstdDecompress } from 'node:zlib'

export type BlockEncoding = 'text' | 'zstd'

/** More than a block has: a row that somebody has written does not fill the memory. */
const LINES_MAX_BYTES = 64 * 1_024 * 1_024
const COMPRESSION = {
  params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 },
}

const decompress = promisify(zstdDecompress)

/** For a thread that may take its time. */
export function packLines(lines: Uint8Array): { readonly encoding: BlockEncoding; readonly bytes: Buffer } {
  return { encoding: 'zstd', bytes: zstdCompressSync(lines, COMPRESSION) }
}

/** What cannot be read was changed, and comes as it is: whoever verifies the log finds no lines in it. */
export async function unpackLines(encoding: string, bytes: Buffer): Promise<Buffer> {
  if (encoding !== 'zstd') return bytes
  return decompress(bytes, { maxOutputLength: LINES_MAX_BYTES }).catch(() => bytes)
}
