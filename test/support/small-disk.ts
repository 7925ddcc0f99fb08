/** A disk of a few megabytes, which a test can fill: a file system in memory, mounted on a folder. Only root can mount. */
import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs'
import { join } from 'node:path'

const PIECE_BYTES = 4_096

export interface SmallDisk {
  /** Takes what is left of it; again, when something was freed since. */
  fill(): void
  /** Gives back what {@link fill} took. */
  free(): void
  unmount(): void
}

/** Mounts it on the folder, which is made. Throws, saying what is missing, where this process may not mount. */
export function mountSmallDisk(folder: string, sizeMb: number): SmallDisk {
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMb}m,mode=0700`, 'strongroom-test', folder], {
      stdio: 'pipe',
    })
  } catch (error) {
    const { stderr = '' } = error as { stderr?: Buffer | string }
    throw new Error(
      `this test fills a disk of its own, and may not mount one: it needs root with CAP_SYS_ADMIN (in a container: ` +
        `--cap-add SYS_ADMIN and no seccomp or AppArmor profile that forbids mount). mount says: ${stderr}`,
      { cause: error },
    )
  }
  const filler = join(folder, 'filler')
  return {
    fill() {
      const file = openSync(filler, 'a')
      try {
        const piece = Buffer.alloc(PIECE_BYTES)
        while (writeSync(file, piece) === PIECE_BYTES);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
      } finally {
        closeSync(file)
      }
    },
    free: () => rmSync(filler, { force: true }),
    unmount: () => void execFileSync('umount', ['--lazy', folder], { stdio: 'pipe' }),
  }
}
