/**
 * EME-OAEP decoding (RFC 8017 section 7.1.2 step 3) for tokens that do RSA but not OAEP with the hash that was asked for:
 * the private operation stays in the token, and what is left is taking the padding off.
 *
 * Nothing here depends on what the bytes are: no branch, no index, no early end. A difference between kinds of bad padding,
 * in answer or in time, would be Manger's oracle (CRYPTO 2001); scripts/bench/oaep-timing.ts measures that there is none.
 */
import { hash } from 'node:crypto'
import { HASH_BYTES, type Hash } from '../../model/algorithms.ts'

/**
 * The message in an encoded block as long as the modulus; undefined when the padding is bad, whatever is bad about it. The
 * label is empty. The caller wipes the result and `encoded`.
 */
export function decodeOaep(encoded: Buffer, algorithm: Hash): Buffer | undefined {
  const hashBytes = HASH_BYTES[algorithm]
  const maskedSeed = encoded.subarray(1, 1 + hashBytes)
  const maskedData = encoded.subarray(1 + hashBytes)
  const seed = xor(maskedSeed, mgf1(maskedData, hashBytes, algorithm))
  const data = xor(maskedData, mgf1(seed, maskedData.length, algorithm))
  const labelHash = hash(algorithm, '', 'buffer')

  // `bad` gathers what differs: the first byte, the label's hash, anything but zeros before the separator.
  let bad = encoded[0]!
  for (let at = 0; at < hashBytes; at += 1) bad |= data[at]! ^ labelHash[at]!
  let searching = 1
  let start = 0
  for (let at = hashBytes; at < data.length; at += 1) {
    const isOne = equals(data[at]!, 1)
    const isZero = equals(data[at]!, 0)
    bad |= searching & (1 ^ (isOne | isZero))
    start |= -(searching & isOne) & (at + 1)
    searching &= 1 ^ isOne
  }
  bad |= searching

  // A copy of fixed cost, made whether it is good or not.
  const message = Buffer.from(data)
  seed.fill(0)
  data.fill(0)
  const plaintext = message.subarray(start)
  return bad === 0 ? plaintext : undefined
}

/** 1 when two bytes are the same, 0 otherwise, without a branch. */
function equals(a: number, b: number): number {
  return ((a ^ b) - 1) >>> 31
}

/** MGF1 (RFC 8017 appendix B.2.1). */
function mgf1(seed: Buffer, lengthBytes: number, algorithm: Hash): Buffer {
  const blocks: Buffer[] = []
  const counter = Buffer.alloc(4)
  for (let made = 0; made < lengthBytes; made += HASH_BYTES[algorithm]) {
    counter.writeUInt32BE(blocks.length)
    blocks.push(hash(algorithm, Buffer.concat([seed, counter]), 'buffer'))
  }
  return Buffer.concat(blocks, lengthBytes)
}

function xor(a: Buffer, b: Buffer): Buffer {
  const result = Buffer.alloc(a.length)
  for (let at = 0; at < a.length; at += 1) result[at] = a[at]! ^ b[at]!
  return result
}
