/** SSH keys and signatures that OpenSSH's own ssh-keygen makes, and every way of not being one of them. */
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { ByteWriter, MalformedBytes } from '../../../src/base/bytes.ts'
import { formatSshPublicKey, parseSshPublicKey, UnusableSshKey } from '../../../src/formats/ssh-public-key.ts'
import { parseSshSignature, verifySshSignature } from '../../../src/formats/ssh-signature.ts'
import { makeSshKey, type SshKey, signWithSsh, sshAccepts, sshFingerprint } from '../../support/ssh-keys.ts'
import { makeTemporaryFolder } from '../store/records.ts'

const NAMESPACE = 'strongroom-ceremony'
const MESSAGE = 'strongroom approval request, version 1\nwith a second line\n'
const KINDS = ['ed25519', 'ecdsa 256', 'ecdsa 384', 'ecdsa 521', 'rsa 3072', 'rsa 4096']

const string = (value: string | Buffer) => new ByteWriter().lp32(Buffer.from(value as string, 'latin1')).finish()
const sha256 = (value: string | Buffer) => createHash('sha256').update(value).digest()
const armour = (bytes: Buffer) =>
  `-----BEGIN SSH SIGNATURE-----\n${bytes.toString('base64').replaceAll(/.{70}/g, '$&\n')}\n-----END SSH SIGNATURE-----\n`
const bytesOf = (signature: string) => Buffer.from(signature.split('\n').slice(1, -2).join(''), 'base64')

let folder: ReturnType<typeof makeTemporaryFolder>
let keys: ReadonlyMap<string, SshKey>

beforeAll(() => {
  folder = makeTemporaryFolder()
  keys = new Map(KINDS.map(kind => [kind, makeSshKey(folder.path, kind.replace(' ', '-'), kind)]))
}, 60_000)

afterAll(() => folder?.remove())

function verifies(signature: string, publicKey: string, { namespace = NAMESPACE, message = MESSAGE } = {}): boolean {
  const signer = parseSshPublicKey(publicKey)
  return verifySshSignature(parseSshSignature(signature), signer, namespace, Buffer.from(message))
}

describe.each(KINDS)('an SSH signature of an %s key', kind => {
  it.each(['sha256', 'sha512'] as const)('over %s verifies', hash => {
    const { publicKey } = keys.get(kind)!
    expect(verifies(signWithSsh(keys.get(kind)!, MESSAGE, { hash }), publicKey)).toBe(true)
  })

  it('is of one key, message and namespace', () => {
    const key = keys.get(kind)!
    const signature = signWithSsh(key, MESSAGE)
    const other = makeSshKey(folder.path, `other-${kind.replace(' ', '-')}`, kind)
    expect(verifies(signature, other.publicKey)).toBe(false)
    expect(verifies(signature, key.publicKey, { message: `${MESSAGE} ` })).toBe(false)
    expect(verifies(signature, key.publicKey, { namespace: 'file' })).toBe(false)
    const elsewhere = signWithSsh(key, MESSAGE, { namespace: 'file' })
    expect(verifies(elsewhere, key.publicKey)).toBe(false)
    expect(verifies(elsewhere, key.publicKey, { namespace: 'file' })).toBe(true)
  })

  it('does not verify with any byte changed', () => {
    const { publicKey, ...key } = keys.get(kind)!
    const bytes = bytesOf(signWithSsh({ publicKey, ...key }, MESSAGE))
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes)
      changed[at]! ^= 1
      let accepted = false
      try {
        accepted = verifies(armour(changed), publicKey)
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedBytes)
      }
      expect({ at, accepted }).toEqual({ at, accepted: false })
    }
  })

  it('does not verify when another value of it claims to be of this key', () => {
    const [claimed, real] = [keys.get(kind)!, makeSshKey(folder.path, `claims-${kind.replace(' ', '-')}`, kind)]
    const { publicKey: ours } = parseSshSignature(signWithSsh(claimed, MESSAGE))
    const { value } = parseSshSignature(signWithSsh(real, MESSAGE))
    const forged = [string(ours), string(NAMESPACE), string(''), string('sha512'), string(value)]
    expect(
      verifies(armour(Buffer.concat([Buffer.from('SSHSIG'), Buffer.of(0, 0, 0, 1), ...forged])), claimed.publicKey),
    ).toBe(false)
  })
})

describe('a signature of an authenticator', () => {
  const APPLICATION = 'ssh:'
  const makers: Record<string, (flags: number) => { publicKey: string; signature: string }> = {
    'sk-ssh-ed25519@openssh.com'(flags) {
      const { publicKey, privateKey } = generateKeyPairSync('ed25519')
      const x = Buffer.from(publicKey.export({ format: 'jwk' }).x!, 'base64url')
      const raw = (signed: Buffer) => sign(null, signed, privateKey)
      return make('sk-ssh-ed25519@openssh.com', [string(x)], raw, flags)
    },
    'sk-ecdsa-sha2-nistp256@openssh.com'(flags) {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const { x, y } = publicKey.export({ format: 'jwk' })
      const point = Buffer.concat([Buffer.of(4), Buffer.from(x!, 'base64url'), Buffer.from(y!, 'base64url')])
      const raw = (signed: Buffer) => ecdsaValue(signed, privateKey)
      return make('sk-ecdsa-sha2-nistp256@openssh.com', [string('nistp256'), string(point)], raw, flags)
    },
  }

  function ecdsaValue(signed: Buffer, key: KeyObject): Buffer {
    const rs = sign('sha256', signed, { key, dsaEncoding: 'ieee-p1363' })
    const integer = (bytes: Buffer) => {
      let start = 0
      while (bytes[start] === 0) start++
      const magnitude = bytes.subarray(start)
      return string(magnitude[0]! >= 0x80 ? Buffer.concat([Buffer.of(0), magnitude]) : magnitude)
    }
    return Buffer.concat([integer(rs.subarray(0, 32)), integer(rs.subarray(32))])
  }

  function make(algorithm: string, parts: Buffer[], raw: (signed: Buffer) => Buffer, flags: number) {
    const key = Buffer.concat([string(algorithm), ...parts, string(APPLICATION)])
    const head = Buffer.concat([Buffer.from('SSHSIG'), string(NAMESPACE), string(''), string('sha512')])
    const message = Buffer.concat([head, string(createHash('sha512').update(MESSAGE).digest())])
    const counter = Buffer.of(0, 0, 0, 7)
    const signed = Buffer.concat([sha256(APPLICATION), Buffer.of(flags), counter, sha256(message)])
    const value = Buffer.concat([string(algorithm), string(raw(signed)), Buffer.of(flags), counter])
    const fields = [string(key), string(NAMESPACE), string(''), string('sha512'), string(value)]
    const signature = armour(Buffer.concat([Buffer.from('SSHSIG'), Buffer.of(0, 0, 0, 1), ...fields]))
    return { publicKey: formatSshPublicKey({ algorithm, blob: key }), signature }
  }

  it.each(Object.entries(makers))(
    'verifies (%s), as it does for ssh-keygen, only when somebody touched it',
    (_, maker) => {
      const touched = maker(1)
      expect(sshAccepts(folder.path, touched.publicKey, touched.signature, MESSAGE)).toBe(true)
      expect(verifies(touched.signature, touched.publicKey)).toBe(true)
      expect(verifies(touched.signature, touched.publicKey, { message: 'another' })).toBe(false)
      const untouched = maker(0)
      expect(verifies(untouched.signature, untouched.publicKey)).toBe(false)
    },
  )
})

describe('what is no SSH signature', () => {
  const fields = (version: number, reserved: string, hash: string, rest = '') =>
    armour(
      Buffer.concat([
        Buffer.from('SSHSIG'),
        Buffer.of(0, 0, 0, version),
        ...['key', NAMESPACE, reserved, hash, 'value'].map(string),
        Buffer.from(rest),
      ]),
    )

  it.each([
    ['nothing', '', 'not an SSH signature'],
    ['other text', 'hello', 'not an SSH signature'],
    ['other armour', '-----BEGIN PGP SIGNATURE-----\nAA==\n-----END PGP SIGNATURE-----\n', 'not an SSH signature'],
    ['text after it', `${fields(1, '', 'sha512')}more`, 'not an SSH signature'],
    ['base64 of two encodings', fields(1, '', 'sha512').replace(/\n([^\n]*)\n----/, '\nAB==\n----'), 'not an SSH'],
    ['another magic', armour(Buffer.from('SSHKEY and more')), 'not an SSH signature'],
    ['another version', fields(2, '', 'sha512'), 'another version'],
    ['a reserved field', fields(1, 'x', 'sha512'), 'reserved field'],
    ['another hash', fields(1, '', 'sha1'), 'another hash'],
    ['bytes after it', fields(1, '', 'sha512', 'x'), 'trailing bytes'],
    ['a part of one', armour(Buffer.from('SSHSIG\0\0\0\x01\0\0')), 'truncated'],
    ['too much text', 'A'.repeat(20_000), 'too long'],
  ])('is refused: %s', (_, text, message) => {
    expect(() => parseSshSignature(text)).toThrow(MalformedBytes)
    expect(() => parseSshSignature(text)).toThrow(message)
  })
})

describe('an SSH public key', () => {
  it.each(KINDS)('of kind %s has the fingerprint that ssh-keygen prints, and its form again', kind => {
    const { publicKey, publicKeyFile } = keys.get(kind)!
    const parsed = parseSshPublicKey(publicKey)
    expect(sshFingerprint(publicKeyFile)).toBe(parsed.fingerprint)
    expect(publicKey.startsWith(`${formatSshPublicKey(parsed)} `)).toBe(true)
    expect(parseSshPublicKey(formatSshPublicKey(parsed)).blob).toEqual(parsed.blob)
  })

  it('is refused when it is weak, a certificate, private, or of a kind that nobody should use', () => {
    const short = makeSshKey(folder.path, 'short', 'rsa 2048').publicKey
    expect(() => parseSshPublicKey(short)).toThrow('the RSA key has 2048 bits and needs 3072')
    expect(() => parseSshPublicKey('ssh-dss AAAA')).toThrow('no OpenSSH public key of a known kind')
    expect(() => parseSshPublicKey('ssh-ed25519-cert-v01@openssh.com AAAA')).toThrow('certificates are not taken')
    expect(() => parseSshPublicKey('-----BEGIN OPENSSH PRIVATE KEY-----')).toThrow('this is a private key')
    expect(() => parseSshPublicKey('__proto__ AAAA')).toThrow(UnusableSshKey)
    expect(() => parseSshPublicKey('')).toThrow(UnusableSshKey)
  })

  it('is refused when the file holds two', () => {
    const { publicKey } = keys.get('ed25519')!
    expect(() => parseSshPublicKey(`${publicKey}${publicKey}`)).toThrow('more than one line')
    expect(parseSshPublicKey(`# a comment\n\n${publicKey}\n`).algorithm).toBe('ssh-ed25519')
  })

  const rsa = (e: Buffer, n: Buffer) => [string(e), string(n)]
  const modulus = Buffer.concat([Buffer.of(0), Buffer.alloc(384, 0xff)])
  it.each([
    ['another algorithm inside', 'ssh-ed25519', [string('ssh-rsa'), string(Buffer.alloc(32))], 'another algorithm'],
    ['a short key', 'ssh-ed25519', [string('ssh-ed25519'), string(Buffer.alloc(31))], 'not an Ed25519 key'],
    ['bytes after it', 'ssh-ed25519', [string('ssh-ed25519'), string(Buffer.alloc(32)), string('x')], 'trailing bytes'],
    [
      'a point not on the curve',
      'ecdsa-sha2-nistp256',
      [string('ecdsa-sha2-nistp256'), string('nistp256'), string(Buffer.concat([Buffer.of(4), Buffer.alloc(64, 1)]))],
      'the key is damaged',
    ],
    [
      'a compressed point',
      'ecdsa-sha2-nistp256',
      [string('ecdsa-sha2-nistp256'), string('nistp256'), string(Buffer.alloc(33, 2))],
      'not an uncompressed point',
    ],
    ['an even exponent', 'ssh-rsa', [string('ssh-rsa'), ...rsa(Buffer.of(1, 0, 2), modulus)], 'the exponent 65538'],
    ['a small exponent', 'ssh-rsa', [string('ssh-rsa'), ...rsa(Buffer.of(3), modulus)], 'the exponent 3'],
    ['a negative modulus', 'ssh-rsa', [string('ssh-rsa'), ...rsa(Buffer.of(1, 0, 1), modulus.subarray(1))], 'positive'],
    ['a padded exponent', 'ssh-rsa', [string('ssh-rsa'), ...rsa(Buffer.of(0, 1, 0, 1), modulus)], 'positive integer'],
  ])('is refused with %s', (_, algorithm, parts, message) => {
    const line = `${algorithm} ${Buffer.concat(parts).toString('base64')}`
    expect(() => parseSshPublicKey(line)).toThrow(UnusableSshKey)
    expect(() => parseSshPublicKey(line)).toThrow(message)
  })
})
