/** One measurement of a daemon under a closed loop. */
import { cpuOfTree } from './cpu.ts'
import type { Target } from './load.ts'
import type { LoadGenerator } from './load-generator.ts'
import type { Sample } from './operations.ts'

/** `pid` is the daemon's first process, `servicePids` are those below it that take connections; the others are the HSM hosts. */
export async function sampleOf(
  load: LoadGenerator,
  target: Target,
  pid: number,
  seconds: number,
  servicePids: readonly number[] = [],
): Promise<Sample> {
  const run = await load.measure(target, seconds, () => cpuOfTree(pid, servicePids))
  const serviceCpuUs = (run.after.rootUs - run.before.rootUs) / run.operations
  const hostsCpuUs = (run.after.belowUs - run.before.belowUs) / run.operations
  return {
    operations: run.operations,
    opsPerSec: run.operations / run.seconds,
    cpuUs: serviceCpuUs + hostsCpuUs,
    serviceCpuUs,
    hostsCpuUs,
    loadCpuUs: run.loadCpuUs / run.operations,
  }
}
