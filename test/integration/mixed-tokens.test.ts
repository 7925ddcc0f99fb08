/**
 * Regions of tokens that are not all alike: NSS softoken alone, and together with SoftHSM. What one token of a region
 * wrote every other one reads, and tokens that have nothing in common share no region.
 */
import { hash, randomBytes } from 'node:crypto'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { makeSoftTokens } from '../../softhsm/tokens.ts'
import { contextHash } from '../../src/formats/aad.ts'
import { parseCiphertext } from '../../src/formats/ciphertext.ts'
import { decodeEkt } from '../../src/formats/ekt.ts'
import type { EktReference } from '../../src/hsm/contract/fields.ts'
import type { TokenLocation } from '../../src/hsm/contract/host-configuration.ts'
import type { HsmPool } from '../../src/hsm/pool/pool.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import { Host } from '../support/host.ts'
import { type Instance, makeInstance } from '../support/instance.ts'
import { makeNssToken } from '../support/nss.ts'
import { makeDomainOf, type TokenDomain } from '../support/tokens.ts'
import { buildVendorModule, likeVendor } from '../support/vendor-module.ts'
import { likeYubiHsm } from '../support/yubihsm-like.ts'

const CONTEXT = contextHash(new Map([['purpose', 'test']]))
const ACCOUNT = '000000000001'
const KINDS = [
  { keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' },
  { keySpec: 'HMAC_256', keyUsage: 'GENERATE_VERIFY_MAC' },
] as const
const ANY_PROFILE = { wrapScheme: 'any', kdf: 'any', gcmIv: 'any' } as const

async function makeEkt(pool: HsmPool, kind: (typeof KINDS)[number] = KINDS[0]): Promise<EktReference> {
  const made = await pool.call('createBackingKey', { account: ACCOUNT, kid: kidOf(newKeyId()), ...kind })
  const record = Buffer.from(made.record)
  return { record, digest: hash('sha256', record, 'buffer') }
}

async function seal(pool: HsmPool, ekt: EktReference, plaintext: Buffer): Promise<Buffer> {
  return Buffer.from((await pool.call('encrypt', { ekt, plaintext, contextHash: CONTEXT })).blob)
}

async function open(pool: HsmPool, ekt: EktReference, blob: Buffer): Promise<Buffer> {
  return Buffer.from((await pool.call('decrypt', { ekt, blob, contextHash: CONTEXT })).plaintext)
}

const nssIn = (folder: string, label = 'nss') => {
  mkdirSync(join(folder, label))
  return makeNssToken(join(folder, label), label)
}
const softIn = (folder: string) => makeSoftTokens(join(folder, 'soft'), ['soft'])

describe('a region of one NSS token', () => {
  let tokens: TokenDomain
  let pool: HsmPool

  beforeAll(async () => {
    tokens = await makeDomainOf(async folder => ({ locations: [nssIn(folder)] }))
    pool = await tokens.startPool()
  })

  afterAll(async () => {
    await pool?.close()
    tokens?.remove()
  })

  it('is of the best schemes that the token has, and open', () => {
    expect(tokens.domain).toMatchObject({
      schemes: { wrapScheme: 'RFC5649', kdf: 'SP800-108-HMAC-SHA256' },
      sealed: false,
      tokens: [{ label: 'nss', sealed: false }],
    })
  })

  it('seals by suite 2, and opens again, also in a host that never saw the key', async () => {
    const ekt = await makeEkt(pool)
    expect(decodeEkt(ekt.record).fields).toMatchObject({ kdf: 'SP800-108-HMAC-SHA256', tokenKeyType: 'GENERIC_SECRET' })
    const plaintext = randomBytes(4_096)
    const blob = await seal(pool, ekt, plaintext)
    expect(parseCiphertext(blob).suite).toBe(2)
    expect(await open(pool, ekt, blob)).toEqual(plaintext)
    const fresh = await tokens.startPool()
    try {
      expect(await open(fresh, ekt, blob)).toEqual(plaintext)
    } finally {
      await fresh.close()
    }
  })

  it('refuses a ciphertext that was changed, and goes on', async () => {
    const ekt = await makeEkt(pool)
    const blob = await seal(pool, ekt, randomBytes(32))
    blob[blob.length - 1]! ^= 1
    await expect(open(pool, ekt, blob)).rejects.toMatchObject({ kind: 'input', reason: 'InvalidCiphertext' })
    expect(pool.members).toMatchObject([{ state: 'healthy', restarts: 0 }])
  })

  it('does not serve a region whose schemes the token lacks', async () => {
    const [location] = tokens.locations
    const pinned = { ...location!, profile: { ...ANY_PROFILE, kdf: 'AES-CBC-DATA' as const } }
    const { host, event } = await Host.start(tokens.configurationOf(pinned))
    await host[Symbol.asyncDispose]()
    const reason =
      'token "nss" lacks SP800-108-HMAC-SHA256, which its region uses; it offers RFC5649, RFC3394; AES-CBC-DATA'
    expect(event).toEqual({ type: 'failed', kind: 'token', reason, retry: true })
  })
})

describe.each([
  ['SoftHSM, then NSS', true],
  ['NSS, then SoftHSM', false],
])('a region of %s', (_name, softFirst) => {
  let tokens: TokenDomain
  let pools: readonly [HsmPool, HsmPool]

  beforeAll(async () => {
    const make = async (folder: string) => {
      const { locations, officerPinFile } = await softIn(folder)
      const all = [...locations, nssIn(folder)]
      return { locations: softFirst ? all : all.reverse(), officerPinFile }
    }
    tokens = await makeDomainOf(make, { allowOpenToken: true })
    const [first, second] = tokens.locations
    pools = await Promise.all([tokens.startPool([first!]), tokens.startPool([second!])])
  })

  afterAll(async () => {
    await Promise.all(pools?.map(pool => pool.close()) ?? [])
    tokens?.remove()
  })

  it('is of the schemes that both have, and says which of its tokens seals it', () => {
    const { schemes, sealed, tokens: enrolled } = tokens.domain
    expect(schemes).toEqual({ wrapScheme: 'RFC5649', kdf: 'AES-CBC-DATA' })
    expect(sealed).toBe(false)
    expect(Object.fromEntries(enrolled.map(token => [token.label, token.sealed]))).toEqual({ soft: true, nss: false })
  })

  it('reads on each token what the other wrote, records and ciphertexts', async () => {
    for (const [maker, user] of [pools, pools.toReversed() as [HsmPool, HsmPool]]) {
      const ekt = await makeEkt(maker)
      const plaintext = randomBytes(100)
      expect(await open(user, ekt, await seal(maker, ekt, plaintext))).toEqual(plaintext)
      expect(await open(maker, ekt, await seal(user, ekt, plaintext))).toEqual(plaintext)
    }
  })

  it('makes the same MAC on each', async () => {
    const message = randomBytes(50)
    for (const maker of pools) {
      const ekt = await makeEkt(maker, KINDS[1])
      const macs = await Promise.all(pools.map(pool => pool.call('generateMac', { ekt, message })))
      expect(Buffer.from(macs[0]!.mac)).toEqual(Buffer.from(macs[1]!.mac))
    }
  })

  it('serves as one pool', async () => {
    const pool = await tokens.startPool()
    try {
      const ekt = await makeEkt(pool)
      const plaintexts = Array.from({ length: 40 }, () => randomBytes(40))
      const blobs = await Promise.all(plaintexts.map(plaintext => seal(pool, ekt, plaintext)))
      expect(await Promise.all(blobs.map(blob => open(pool, ekt, blob)))).toEqual(plaintexts)
      expect(pool.members.map(({ profile }) => profile?.vendor).toSorted()).toEqual(['NSS softoken', 'SoftHSM 2'])
    } finally {
      await pool.close()
    }
  })
})

/** As vendors' documents have it; the module behind is one that runs here. */
describe.each([
  ['luna', 'soft', { wrapSchemes: ['RFC5649', 'RFC3394'], kdfs: ['AES-CBC-DATA'], gcmIv: 'hsm-suffix' }],
  ['cloudhsm', 'nss', { wrapSchemes: ['RFC5649'], kdfs: ['SP800-108-HMAC-SHA256'], gcmIv: 'hsm-in-param' }],
] as const)('a token that behaves like a %s in front of %s', (kind, behind, offers) => {
  let tokens: TokenDomain
  let pools: readonly [plain: HsmPool, like: HsmPool]

  beforeAll(async () => {
    let plain: TokenLocation | undefined
    tokens = await makeDomainOf(async folder => {
      plain = behind === 'soft' ? (await softIn(folder)).locations[0]! : nssIn(folder)
      return { locations: [likeVendor(kind, buildVendorModule(folder), plain)] }
    })
    pools = await Promise.all([tokens.startPool([plain!]), tokens.startPool()])
  })

  afterAll(async () => {
    await Promise.all(pools?.map(pool => pool.close()) ?? [])
    tokens?.remove()
  })

  it('has the profile that its vendor’s documents give it', () => {
    expect(pools[1].members).toMatchObject([{ profile: { ...offers, gcm: 'token' } }])
  })

  it('writes what a token with the standard’s own ways reads, the IV in the header, and the other way round', async () => {
    const [plain, like] = pools
    const ekt = await makeEkt(like)
    const ivs = new Set<string>()
    for (const length of [1, 33, 4_096]) {
      const plaintext = randomBytes(length)
      const blob = await seal(like, ekt, plaintext)
      expect(await open(plain, ekt, blob)).toEqual(plaintext)
      expect(await open(like, ekt, await seal(plain, ekt, plaintext))).toEqual(plaintext)
      ivs.add(parseCiphertext(blob).iv.toString('hex'))
    }
    expect(ivs.size).toBe(3)
  })
})

describe('tokens that cannot share a region', () => {
  const messageOf = (make: (folder: string) => Promise<readonly TokenLocation[]>) =>
    makeDomainOf(async folder => ({ locations: await make(folder) })).then(
      made => {
        made.remove()
        return 'made'
      },
      (error: Error) => error.message,
    )

  it('are refused with what each of them offers: no derivation in common', async () => {
    const message = await messageOf(async folder => {
      const [soft] = (await softIn(folder)).locations
      return [soft!, { ...nssIn(folder), profile: { ...ANY_PROFILE, kdf: 'SP800-108-HMAC-SHA256' } }]
    })
    expect(message).toBe(
      'on-prem-1: such tokens cannot share a region, since none reads what another writes: ' +
        'token "soft" (SoftHSM 2) offers RFC5649, RFC3394; AES-CBC-DATA; ' +
        'token "nss" (NSS softoken) offers RFC5649, RFC3394; SP800-108-HMAC-SHA256',
    )
  })

  it('are refused with what each of them offers: one cannot wrap', async () => {
    const message = await messageOf(async folder => {
      const [soft] = (await softIn(folder)).locations
      return [nssIn(folder), likeYubiHsm(soft!)]
    })
    expect(message).toContain('token "soft" (SoftHSM 2) offers resident; SP800-108-HMAC-SHA256')
  })

  it('are refused when one cannot keep the other’s domain sealed, unless that is asked for', async () => {
    const message = await messageOf(async folder => [...(await softIn(folder)).locations, nssIn(folder)])
    expect(message).toBe(
      'on-prem-1: token "nss" does not enforce what seals the domain: whoever has its PIN could read keys. ' +
        '--allow-open-token enrols it and leaves the domain open',
    )
  })

  it('are refused when nothing tells them apart', async () => {
    const message = await messageOf(async folder => [nssIn(folder, 'nss-1'), nssIn(folder, 'nss-2')])
    expect(message).toBe(
      'tokens "nss-1" and "nss-2" have one serial number (0000000000000000): a region takes one of them',
    )
  })
})

describe('the command line', () => {
  let instance: Instance
  let nss: TokenLocation

  beforeAll(async () => {
    instance = await makeInstance(['soft'])
    nss = nssIn(instance.folder)
  })

  afterAll(() => instance?.remove())

  it('refuses an open token in a sealed domain, takes it when told to, and serves with both', async () => {
    instance.configure(['soft', nss])
    const refused = await instance.init()
    expect(refused).toMatchObject({ code: 1, stderr: expect.stringContaining('--allow-open-token enrols it') })
    const allowed = await instance.run(['init', '--allow-open-token', '--so-pin-file', instance.officerPinFile])
    expect(allowed.code).toBe(0)
    expect(allowed.stdout).toMatch(/token "nss" does not enforce what seals the domain/)
    expect(allowed.stdout).toMatch(/is OPEN: whoever has a PIN could read keys/)
    const daemon = await instance.serve()
    process.kill(daemon.pid, 'SIGTERM')
    expect(await daemon.ended).toBe(0)
    const enrolled = await instance.withStore(store => store.reader.findDomain('on-prem-1'))
    expect(enrolled?.tokens.map(({ label, sealed }) => ({ label, sealed }))).toEqual([
      { label: 'soft', sealed: true },
      { label: 'nss', sealed: false },
    ])
  })
})
