/** EME-OAEP decoding against OpenSSL's encoding, which raw RSA under a key of known exponent lays open. */
import { constants, generateKeyPairSync, privateDecrypt, publicEncrypt, randomBytes } from 'node:crypto'
import { describe, expect, it } from '@jest/globals'
import { decodeOaep } from '../../../../src/hsm/host/oaep.ts'

const { publicKey, privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 })

/** The padded block that OAEP encryption put into a ciphertext. */
function encodedBlock(message: Buffer, oaepHash: string): Buffer {
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  const sealed = publicEncrypt({ key: publicKey, padding, oaepHash }, message)
  return privateDecrypt({ key: privateKey, padding: constants.RSA_NO_PADDING }, sealed)
}

describe.each([
  ['sha1', 214],
  ['sha256', 190],
] as const)('OAEP with %s', (algorithm, longest) => {
  it.each([0, 1, 17, longest])('gives back %d bytes', length => {
    const message = randomBytes(length)
    expect(decodeOaep(encodedBlock(message, algorithm), algorithm)).toEqual(message)
  })

  it('gives back messages that look like padding', () => {
    for (const message of [Buffer.alloc(20), Buffer.alloc(20, 1), Buffer.from([0, 1, 0, 1])]) {
      expect(decodeOaep(encodedBlock(message, algorithm), algorithm)).toEqual(message)
    }
  })

  it('refuses a block with any bit of it flipped', () => {
    const block = encodedBlock(Buffer.from('attack at dawn'), algorithm)
    for (let bit = 0; bit < block.length * 8; bit += 1) {
      const altered = Buffer.from(block)
      altered[bit >> 3]! ^= 1 << (bit & 7)
      // A flipped bit of the message itself changes the seed's mask as well, and so all of the block.
      expect(decodeOaep(altered, algorithm)).toBeUndefined()
    }
  })

  it('refuses the other hash, zeros and chance', () => {
    const other = algorithm === 'sha1' ? 'sha256' : 'sha1'
    expect(decodeOaep(encodedBlock(Buffer.from('x'), other), algorithm)).toBeUndefined()
    expect(decodeOaep(Buffer.alloc(256), algorithm)).toBeUndefined()
    for (let times = 0; times < 200; times += 1) expect(decodeOaep(randomBytes(256), algorithm)).toBeUndefined()
  })
})
