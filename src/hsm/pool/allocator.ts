/**
 * Which allocator an HSM host runs with. SoftHSM allocates several hundred times for one command, and a third of a host's
 * CPU time is the C library's malloc; with jemalloc it is a tenth. The host as a whole gets it, library and runtime alike,
 * which PKCS#11 allows: no call hands a block of memory over to the other side to be freed there.
 */
import { existsSync } from 'node:fs'

/** `system` is the C library's. */
export type Allocator = 'jemalloc' | 'system'

/** Where distributions put it: Debian and Ubuntu, Fedora, others. Nobody but root writes there. */
const JEMALLOC = [
  '/usr/lib/x86_64-linux-gnu/libjemalloc.so.2',
  '/usr/lib/aarch64-linux-gnu/libjemalloc.so.2',
  '/usr/lib64/libjemalloc.so.2',
  '/usr/lib/libjemalloc.so.2',
]

/** What a host's environment is to hold for an allocator; nothing where it is not installed: the system's does as well. */
export function environmentFor(allocator: Allocator): Readonly<Record<string, string>> {
  const library = allocator === 'jemalloc' ? JEMALLOC.find(path => existsSync(path)) : undefined
  return library === undefined ? {} : { LD_PRELOAD: library }
}
