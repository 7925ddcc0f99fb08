/**
 * Whether taking OAEP's padding off outside the token tells kinds of bad padding apart (Manger, CRYPTO 2001): by its answer, or
 * by its time. Blocks of each kind are decoded in random order, and Welch's t of the times of each kind against those of all
 * the others is printed; beyond 4.5 a difference counts as found (Reparaz and others, DATE 2017). A decoder that ends at
 * the first fault is measured beside, so that the test shows that it finds what there is to be found.
 *
 * ./scripts/node scripts/bench/oaep-timing.ts [blocks of each kind]
 */
import { hash, randomBytes, randomInt } from 'node:crypto'
import { decodeOaep } from '../../src/hsm/host/oaep.ts'
import { HASH_BYTES } from '../../src/model/algorithms.ts'

const ALGORITHM = 'sha256'
const MODULUS_BYTES = 256
const HASH_LENGTH = HASH_BYTES[ALGORITHM]
const DATA_BYTES = MODULUS_BYTES - HASH_LENGTH - 1
const MESSAGE_BYTES = 32
const THRESHOLD = 4.5
const ROUNDS_UNMEASURED = 2_000
/** Of the slowest measurements, which interrupts made. */
const KEPT_SHARE = 0.9

type Decoder = (block: Buffer) => Buffer | undefined

/** Each makes one thing wrong in the data block (hash of the label, zeros, 01, message), or in the first byte. */
const kinds: Readonly<Record<string, (data: Buffer) => number>> = {
  'first byte': () => 1 + randomInt(255),
  'hash of the label': data => corrupt(data, randomInt(HASH_LENGTH)),
  'byte before the separator': data =>
    corrupt(data, HASH_LENGTH + randomInt(DATA_BYTES - HASH_LENGTH - MESSAGE_BYTES - 1)),
  'no separator': data => {
    data.fill(0, HASH_LENGTH)
    return 0
  },
}

/** Decodes as one would who has not heard of Manger. */
const careless: Decoder = block => (block[0] === 0 ? decodeOaep(block, ALGORITHM) : undefined)

function corrupt(data: Buffer, at: number): number {
  data[at] = data[at]! ^ (2 + randomInt(254))
  return 0
}

function blockOf(spoil: (data: Buffer) => number): Buffer {
  const data = Buffer.alloc(DATA_BYTES)
  hash(ALGORITHM, '', 'buffer').copy(data)
  data[DATA_BYTES - MESSAGE_BYTES - 1] = 1
  randomBytes(MESSAGE_BYTES).copy(data, DATA_BYTES - MESSAGE_BYTES)
  const first = spoil(data)
  const seed = randomBytes(HASH_LENGTH)
  const maskedData = xor(data, mgf1(seed, DATA_BYTES))
  return Buffer.concat([Buffer.of(first), xor(seed, mgf1(maskedData, HASH_LENGTH)), maskedData])
}

function mgf1(seed: Buffer, lengthBytes: number): Buffer {
  const blocks = Array.from({ length: Math.ceil(lengthBytes / HASH_LENGTH) }, (_, counter) =>
    hash(ALGORITHM, Buffer.concat([seed, Buffer.of(0, 0, 0, counter)]), 'buffer'),
  )
  return Buffer.concat(blocks, lengthBytes)
}

function xor(a: Buffer, b: Buffer): Buffer {
  return Buffer.from(a.map((byte, at) => byte ^ b[at]!))
}

/** Nanoseconds of each decoding, by kind. Throws when a block is taken for a good one. */
function measure(decode: Decoder, blocksOfEach: number): Map<string, number[]> {
  const names = Object.keys(kinds)
  const times = new Map(names.map(name => [name, [] as number[]]))
  const total = blocksOfEach * names.length
  for (let round = -ROUNDS_UNMEASURED; round < total; round += 1) {
    const name = names[randomInt(names.length)]!
    const block = blockOf(kinds[name]!)
    const startedAt = process.hrtime.bigint()
    const answer = decode(block)
    const elapsed = Number(process.hrtime.bigint() - startedAt)
    if (answer !== undefined) throw new Error(`a block with a bad ${name} was decoded`)
    if (round >= 0) times.get(name)!.push(elapsed)
  }
  return times
}

/** Welch's t of one kind against all others, without the slowest. */
function differenceOf(name: string, times: ReadonlyMap<string, readonly number[]>): number {
  const all = [...times.values()].flat().toSorted((a, b) => a - b)
  const limit = all[Math.floor(all.length * KEPT_SHARE)]!
  const kept = (values: readonly number[]) => values.filter(value => value <= limit)
  const own = momentsOf(kept(times.get(name)!))
  const others = momentsOf(kept([...times].flatMap(([other, values]) => (other === name ? [] : values))))
  return (own.mean - others.mean) / Math.sqrt(own.variance / own.count + others.variance / others.count)
}

function momentsOf(values: readonly number[]) {
  const count = values.length
  const mean = values.reduce((sum, value) => sum + value, 0) / count
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (count - 1)
  return { count, mean, variance }
}

/** The largest difference that was found. */
function report(title: string, decode: Decoder, blocksOfEach: number): number {
  const times = measure(decode, blocksOfEach)
  const found = [...times].map(([name, values]) => {
    const t = differenceOf(name, times)
    const { mean } = momentsOf(values)
    process.stdout.write(`${title.padEnd(12)}${name.padEnd(28)}${mean.toFixed(0).padStart(8)} ns   t ${t.toFixed(2)}\n`)
    return Math.abs(t)
  })
  return Math.max(...found)
}

const blocksOfEach = Number(process.argv[2] ?? 50_000)
const largest = report('in use', block => decodeOaep(block, ALGORITHM), blocksOfEach)
const control = report('careless', careless, Math.min(blocksOfEach, 10_000))
const passed = largest < THRESHOLD && control > THRESHOLD
process.stdout.write(
  `largest t ${largest.toFixed(2)}, of the careless decoder ${control.toFixed(2)}: ${passed ? 'passed' : 'FAILED'}\n`,
)
process.exitCode = passed ? 0 : 1
