/**
 * Says how many tests passed, failed and were skipped, in one line: on stdout, or in the file that
 * STRONGROOM_TOTALS_FILE names, for scripts/test to print as its last line.
 */
import { writeFileSync, writeSync } from 'node:fs'

/** After the last test: time for handles to close before whatever keeps the process alive counts as a leak. */
const EXIT_PATIENCE_MS = 30_000

/** A suite that did not run, because of a broken import for one, counts as a failure; so does a run that was broken off. */
export function totalsOf(results) {
  const brokenOff = results.runExecError || results.wasInterrupted || results.snapshot.failure ? 1 : 0
  return {
    passed: results.numPassedTests,
    failed: results.numFailedTests + results.numRuntimeErrorTestSuites + brokenOff,
    skipped: results.numPendingTests + results.numTodoTests,
  }
}

export default class TotalsReporter {
  onRunComplete(_contexts, results) {
    const { passed, failed, skipped } = totalsOf(results)
    const line = `${passed} passed, ${failed} failed, ${skipped} skipped\n`
    if (process.env.STRONGROOM_TOTALS_FILE) writeFileSync(process.env.STRONGROOM_TOTALS_FILE, line)
    // Jest's own summary is written after every reporter has been called.
    else process.once('exit', () => writeSync(process.stdout.fd, line))
    setTimeout(() => {
      process.stderr.write('The tests are done, but something they started keeps Jest alive.\n')
      process.exit(1)
    }, EXIT_PATIENCE_MS).unref()
  }
}
