/** Reads a file that an operator names, when it is small: a key, a signature. */
import { readFileSync, statSync } from 'node:fs'
import { CommandFailed } from './admin-client.ts'

const MAX_BYTES = 16_384

/** Text of a file. Throws {@link CommandFailed} when it cannot be read or has more than 16 KiB. */
export function readSmallFile(path: string): string {
  try {
    const stats = statSync(path)
    if (!stats.isFile() || stats.size > MAX_BYTES) throw new CommandFailed(`${path} is not a file of at most 16 KiB`)
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (error instanceof CommandFailed) throw error
    throw new CommandFailed(`cannot read ${path} (${(error as NodeJS.ErrnoException).code})`)
  }
}
