/**
 * A ciphertext of AES-GCM with one tag that is good under two keys: GCM commits to no key (Dodis et al., CRYPTO 2018). Whoever
 * knows both keys solves one linear equation over GF(2^128) (SP 800-38D section 6.3) for one block.
 */
import { createCipheriv } from 'node:crypto'

const BLOCK_BYTES = 16
const BITS = 128n
/** x^128 + x^7 + x^2 + x + 1, in GCM's order of bits. */
const REDUCTION = 0xe1n << 120n

/** 32 bytes of ciphertext, and the tag that both keys give it, over one AAD of whole or part blocks. */
export function makeSalamander(
  keys: readonly [Buffer, Buffer],
  iv: Buffer,
  aad: Buffer,
): { ciphertext: Buffer; tag: Buffer } {
  const first = Buffer.alloc(BLOCK_BYTES, 0x42)
  const fixed = (key: Buffer) => {
    const h = toNumber(encryptBlock(key, Buffer.alloc(BLOCK_BYTES)))
    const mask = toNumber(encryptBlock(key, Buffer.concat([iv, Buffer.from([0, 0, 0, 1])])))
    const without = ghash(h, aad, Buffer.concat([first, Buffer.alloc(BLOCK_BYTES)]))
    return { square: multiply(h, h), sum: without ^ mask }
  }
  const [one, other] = [fixed(keys[0]), fixed(keys[1])]
  const block = multiply(one.sum ^ other.sum, inverse(one.square ^ other.square))
  const ciphertext = Buffer.concat([first, toBytes(block)])
  return { ciphertext, tag: toBytes(one.sum ^ multiply(block, one.square)) }
}

function encryptBlock(key: Buffer, block: Buffer): Buffer {
  return createCipheriv('aes-256-ecb', key, null).setAutoPadding(false).update(block)
}

function ghash(h: bigint, aad: Buffer, ciphertext: Buffer): bigint {
  const lengths = Buffer.alloc(BLOCK_BYTES)
  lengths.writeBigUInt64BE(BigInt(aad.length * 8), 0)
  lengths.writeBigUInt64BE(BigInt(ciphertext.length * 8), 8)
  const input = Buffer.concat([padded(aad), padded(ciphertext), lengths])
  let y = 0n
  for (let at = 0; at < input.length; at += BLOCK_BYTES) {
    y = multiply(y ^ toNumber(input.subarray(at, at + BLOCK_BYTES)), h)
  }
  return y
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc((BLOCK_BYTES - (bytes.length % BLOCK_BYTES)) % BLOCK_BYTES)])
}

function multiply(a: bigint, b: bigint): bigint {
  let product = 0n
  let shifted = b
  for (let bit = BITS - 1n; bit >= 0n; bit -= 1n) {
    if ((a >> bit) & 1n) product ^= shifted
    shifted = shifted & 1n ? (shifted >> 1n) ^ REDUCTION : shifted >> 1n
  }
  return product
}

/** a^(2^128 - 2). */
function inverse(a: bigint): bigint {
  let result = 1n << (BITS - 1n)
  let power = a
  for (let bit = 1n; bit < BITS; bit += 1n) {
    power = multiply(power, power)
    result = multiply(result, power)
  }
  return result
}

function toNumber(block: Buffer): bigint {
  return BigInt(`0x${block.toString('hex')}`)
}

function toBytes(block: bigint): Buffer {
  return Buffer.from(block.toString(16).padStart(BLOCK_BYTES * 2, '0'), 'hex')
}
