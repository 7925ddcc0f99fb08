/**
 * Says how many tests passed, failed and were skipped, in one line: on stdout, or in the file that STRONGROOM_TOTALS_FILE
 * names. There, scripts/test finds more below it: the same of the files in which nothing failed, and the others' paths.
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

function lineOf({ passed, failed, skipped }) {
  return `${passed} passed, ${failed} failed, ${skipped} skipped\n`
}

/** Nothing after a run that was broken off: it does not know what it did not run. */
function soundAndFailed(results) {
  if (results.runExecError || results.wasInterrupted || results.snapshot.failure) return ''
  const hasFailed = file => file.testExecError !== undefined || file.numFailingTests > 0
  const sound = results.testResults.filter(file => !hasFailed(file))
  const sum = of => sound.reduce((total, file) => total + of(file), 0)
  const passed = sum(file => file.numPassingTests)
  const skipped = sum(file => file.numPendingTests + file.numTodoTests)
  const paths = results.testResults.filter(hasFailed).map(file => `${file.testFilePath}\n`)
  return `${lineOf({ passed, failed: 0, skipped })}${paths.join('')}`
}

export default class TotalsReporter {
  onRunComplete(_contexts, results) {
    const line = lineOf(totalsOf(results))
    if (process.env.STRONGROOM_TOTALS_FILE)
      writeFileSync(process.env.STRONGROOM_TOTALS_FILE, `${line}${soundAndFailed(results)}`)
    // Jest's own summary is written after every reporter has been called.
    else process.once('exit', () => writeSync(process.stdout.fd, line))
    setTimeout(() => {
      // Running the failed files again would not show this.
      if (process.env.STRONGROOM_TOTALS_FILE) writeFileSync(process.env.STRONGROOM_TOTALS_FILE, line)
      process.stderr.write('The tests are done, but something they started keeps Jest alive.\n')
      process.exit(1)
    }, EXIT_PATIENCE_MS).unref()
  }
}
