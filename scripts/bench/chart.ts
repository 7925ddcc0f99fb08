/** A line chart as SVG: axes with round numbers, a line and a name for each series. No script, no font of its own. */

export interface Chart {
  readonly title: string
  readonly x: { readonly label: string; readonly values: readonly number[] }
  readonly y: { readonly label: string }
  /** One value for each x; undefined where there is none. */
  readonly series: readonly { readonly name: string; readonly values: readonly (number | undefined)[] }[]
}

const WIDTH = 900
const HEIGHT = 420
const LEFT = 80
const RIGHT = 300
const TOP = 40
const BOTTOM = 50
const GRID_LINES = 5
const LEGEND_LINE = 18
/** Told apart by those who see few colours, too (Okabe and Ito). */
const COLOURS = [
  '#0072b2',
  '#d55e00',
  '#009e73',
  '#cc79a7',
  '#56b4e9',
  '#e69f00',
  '#000000',
  '#8c6d00',
  '#7f7f7f',
  '#5e3c99',
]

/** The x values stand at equal distances, whatever they are. */
export function lineChart({ title, x, y, series }: Chart): string {
  const top = niceAbove(Math.max(1, ...series.flatMap(({ values }) => values.filter(value => value !== undefined))))
  const atX = (index: number) => LEFT + (index * (WIDTH - LEFT - RIGHT)) / Math.max(1, x.values.length - 1)
  const atY = (value: number) => HEIGHT - BOTTOM - (value / top) * (HEIGHT - TOP - BOTTOM)
  const text = (at: { x: number; y: number; anchor?: string }, content: string) =>
    `<text x="${at.x.toFixed(1)}" y="${at.y.toFixed(1)}" text-anchor="${at.anchor ?? 'start'}">${escaped(content)}</text>`
  const grid = Array.from({ length: GRID_LINES + 1 }, (_, line) => {
    const value = (top * line) / GRID_LINES
    const height = atY(value)
    return [
      `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${height.toFixed(1)}" y2="${height.toFixed(1)}" stroke="#ddd"/>`,
      text({ x: LEFT - 8, y: height + 4, anchor: 'end' }, value.toLocaleString('en')),
    ].join('')
  })
  const ticks = x.values.map((value, index) =>
    text({ x: atX(index), y: HEIGHT - BOTTOM + 18, anchor: 'middle' }, String(value)),
  )
  const lines = series.map(({ name, values }, index) => {
    const colour = COLOURS[index % COLOURS.length]
    const points = values.flatMap((value, at) =>
      value === undefined ? [] : [`${atX(at).toFixed(1)},${atY(value).toFixed(1)}`],
    )
    const height = TOP + index * LEGEND_LINE
    const start = WIDTH - RIGHT + 20
    return [
      `<polyline points="${points.join(' ')}" fill="none" stroke="${colour}" stroke-width="2"/>`,
      `<line x1="${start}" x2="${start + 20}" y1="${height - 4}" y2="${height - 4}" stroke="${colour}" stroke-width="2"/>`,
      text({ x: start + 26, y: height }, name),
    ].join('')
  })
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" font-family="sans-serif" font-size="12">`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    text({ x: LEFT, y: 20 }, `${title}: ${y.label}, by ${x.label}`),
    ...grid,
    ...ticks,
    ...lines,
    '</svg>\n',
  ].join('\n')
}

/** 1, 2 or 5 times a power of ten, not below the value. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * ([1, 2, 5].find(factor => factor * power >= value) ?? 10)
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
