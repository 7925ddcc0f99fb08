/** Answers for people (aligned columns, or YAML for what has parts) or for programs (JSON), on standard output. */
import { stringify } from 'yaml'

export function printRecords(output: 'text' | 'json', answer: unknown): void {
  process.stdout.write(output === 'json' ? `${JSON.stringify(answer, null, 2)}\n` : table([answer].flat()))
}

/** One record with lists and documents in it. */
export function printDetails(output: 'text' | 'json', answer: unknown): void {
  if (output === 'json') printRecords(output, answer)
  else process.stdout.write(stringify(answer))
}

function table(records: readonly unknown[]): string {
  const rows = records.map(record => record as Record<string, unknown>)
  const [first] = rows
  if (first === undefined) return 'none\n'
  const columns = Object.keys(first)
  const cells = [
    columns.map(name => name.toUpperCase()),
    ...rows.map(row => columns.map(name => String(row[name] ?? ''))),
  ]
  const widths = columns.map((_, at) => Math.max(...cells.map(row => row[at]?.length ?? 0)))
  return cells
    .map(
      row =>
        `${row
          .map((cell, at) => cell.padEnd(widths[at] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('')
}
