/** The metrics of a daemon, as its admin listener shows them. */

/** Samples by name and labels, as they stand in the text format: `name{a="b"}` to number. Throws for any other line. */
export async function readMetrics(adminEndpoint: string): Promise<ReadonlyMap<string, number>> {
  const response = await fetch(`${adminEndpoint}/metrics`)
  const type = response.headers.get('content-type')
  if (type?.startsWith('text/plain; version=0.0.4') !== true) throw new Error(`metrics as ${type}`)
  const samples = new Map<string, number>()
  for (const line of (await response.text()).split('\n')) {
    if (line === '' || /^# (HELP|TYPE) [a-z0-9_]+ /.test(line)) continue
    const [, name, value] = /^([a-z_][a-z0-9_]*(?:\{(?:[a-z_]+="[^"\\]*",?)*\})?) (\S+)$/.exec(line) ?? []
    // prom-client's spelling: two scrapes in a moment leave the event loop's lag without a sample, and so without a mean.
    const known = value === 'Nan' || !Number.isNaN(Number(value))
    if (name === undefined || !known) throw new Error(`not a sample: ${line}`)
    samples.set(name, Number(value))
  }
  return samples
}

/** Of the samples whose name and labels match from their beginning on. */
export function sumOf(samples: ReadonlyMap<string, number>, prefix: string | RegExp): number {
  const isMeant = (name: string) => (typeof prefix === 'string' ? name.startsWith(prefix) : prefix.test(name))
  return [...samples].filter(([name]) => isMeant(name)).reduce((sum, [, value]) => sum + value, 0)
}
