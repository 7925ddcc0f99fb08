/** A line chart as SVG: axes with round numbers and their units, a line and a name for each series. No script, no font of its own. */

export interface Chart {
  readonly title: string
  readonly x: { readonly label: string; readonly values: readonly number[] }
  /** `logarithmic` where values are many times each other. */
  readonly y: { readonly label: string; readonly logarithmic?: boolean }
  /** One value for each x; undefined where there is none. */
  readonly series: readonly { readonly name: string; readonly values: readonly (number | undefined)[] }[]
}

const WIDTH = 1_000
const HEIGHT = 440
const LEFT = 90
const RIGHT = 380
const TOP = 50
const BOTTOM = 60
const GRID_LINES = 5
const LEGEND_LINE = 18
/** Room between the plot and what stands beside it. */
const GAP = 20
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

/** Where values stand on the y axis, and which of them have a line of the grid. */
interface Scale {
  readonly ticks: readonly number[]
  /** 0 for the foot of the axis, 1 for its top. */
  share(value: number): number
}

interface Place {
  readonly x: number
  readonly y: number
  readonly anchor?: 'start' | 'middle' | 'end'
  /** Turned to be read from below. */
  readonly upright?: boolean
}

/** The x values stand at equal distances, whatever they are. */
export function lineChart({ title, x, y, series }: Chart): string {
  const values = series.flatMap(each => each.values.filter(value => value !== undefined))
  const scale = y.logarithmic === true ? logarithmic(values) : linear(values)
  const atX = (index: number) => LEFT + (index * (WIDTH - LEFT - RIGHT)) / Math.max(1, x.values.length - 1)
  const atY = (value: number) => HEIGHT - BOTTOM - scale.share(value) * (HEIGHT - TOP - BOTTOM)
  const grid = scale.ticks.map(value => {
    const height = atY(value)
    const line = `<line x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${fixed(height)}" y2="${fixed(height)}" stroke="#ddd"/>`
    return line + text({ x: LEFT - 8, y: height + 4, anchor: 'end' }, value.toLocaleString('en'))
  })
  const ticks = x.values.map((value, index) =>
    text({ x: atX(index), y: HEIGHT - BOTTOM + 18, anchor: 'middle' }, String(value)),
  )
  const lines = series.map(({ name, values }, index) => {
    const points = values.flatMap((value, at) => (value === undefined ? [] : [{ x: atX(at), y: atY(value) }]))
    return lineOf(name, COLOURS[index % COLOURS.length]!, points, TOP + 4 + index * LEGEND_LINE)
  })
  const middle = { x: (LEFT + WIDTH - RIGHT) / 2, y: (TOP + HEIGHT - BOTTOM) / 2 }
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${HEIGHT}" role="img" font-family="sans-serif" font-size="12">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${HEIGHT}" fill="#fff"/>`,
    `<g font-size="15">${text({ x: LEFT, y: 26 }, title)}</g>`,
    ...grid,
    ...ticks,
    text({ x: middle.x, y: HEIGHT - 16, anchor: 'middle' }, x.label),
    text({ x: 22, y: middle.y, anchor: 'middle', upright: true }, y.label),
    ...lines,
    '</svg>\n',
  ].join('\n')
}

/** A series, its points, and its name beside the plot. */
function lineOf(name: string, colour: string, points: readonly { x: number; y: number }[], legendY: number): string {
  const start = WIDTH - RIGHT + GAP
  const path = points.map(({ x, y }) => `${fixed(x)},${fixed(y)}`).join(' ')
  return [
    `<polyline points="${path}" fill="none" stroke="${colour}" stroke-width="2"/>`,
    ...points.map(({ x, y }) => `<circle cx="${fixed(x)}" cy="${fixed(y)}" r="3" fill="${colour}"/>`),
    `<line x1="${start}" x2="${start + 20}" y1="${legendY - 4}" y2="${legendY - 4}" stroke="${colour}" stroke-width="2"/>`,
    text({ x: start + 26, y: legendY }, name),
  ].join('')
}

function linear(values: readonly number[]): Scale {
  const top = niceAbove(Math.max(1, ...values))
  return {
    ticks: Array.from({ length: GRID_LINES + 1 }, (_, line) => (top * line) / GRID_LINES),
    share: value => value / top,
  }
}

/** From a power of ten to another. */
function logarithmic(values: readonly number[]): Scale {
  const known = values.filter(value => value > 0)
  const low = Math.floor(Math.log10(Math.min(...known, 1e9)))
  const high = Math.max(low + 1, Math.ceil(Math.log10(Math.max(...known, 1))))
  const powers = Array.from({ length: high - low + 1 }, (_, at) => low + at)
  return {
    ticks: powers.flatMap(power => (power === high ? [1] : [1, 2, 5]).map(factor => factor * 10 ** power)),
    share: value => (Math.log10(Math.max(value, 10 ** low)) - low) / (high - low),
  }
}

/** 1, 2 or 5 times a power of ten, not below the value. */
function niceAbove(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return power * ([1, 2, 5].find(factor => factor * power >= value) ?? 10)
}

function text({ x, y, anchor = 'start', upright = false }: Place, content: string): string {
  const turned = upright ? ` transform="rotate(-90 ${fixed(x)} ${fixed(y)})"` : ''
  return `<text x="${fixed(x)}" y="${fixed(y)}" text-anchor="${anchor}"${turned}>${escaped(content)}</text>`
}

const fixed = (value: number) => value.toFixed(1)

function escaped(content: string): string {
  return content.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
}
