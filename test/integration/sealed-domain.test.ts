/**
 * Somebody with the user PIN of a token and a process of their own tries every attack of security.md 3, on the keys of a
 * domain that `strongroom init` made and on an EKT of it. The same attacks are run on keys made carelessly, where they do
 * succeed: what fails on the domain fails because of how it was made.
 */
import { hash, randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { contextHash } from '../../src/formats/aad.ts'
import { decodeEkt } from '../../src/formats/ekt.ts'
import type { EktReference } from '../../src/hsm/contract/fields.ts'
import type { HsmPool } from '../../src/hsm/pool/pool.ts'
import { kidOf, newKeyId } from '../../src/model/key-id.ts'
import { attacks, trustAttacks } from '../support/attacks.ts'
import type { Outcomes } from '../support/pin-holder.ts'
import { asPinHolder, makeTokenDomain, type TokenDomain } from '../support/tokens.ts'

const NO_CONTEXT = contextHash(new Map())
const PLAINTEXT = Buffer.from('what is to stay secret')
/** What SoftHSM refuses whatever the key is like. */
const REFUSED_ON_ANY_KEY = [
  'dk.use: set MODIFIABLE',
  'dk.use: set WRAP_WITH_TRUSTED to false',
  'dk.use: copy without WRAP_WITH_TRUSTED',
  'dk.use: set an empty UNWRAP_TEMPLATE',
  'dk.use: copy with an empty UNWRAP_TEMPLATE',
  'dk.gen: set MODIFIABLE',
]
const READS_THE_HBK = [
  'dk.use: set DECRYPT and undo the key wrap',
  'dk.use: copy with DECRYPT and undo the key wrap',
  'dk.use: copy as a session object, then set DECRYPT',
  'dk.gen: copy with UNWRAP',
  'dk.gen: unwrap an EKT with it',
  'an EKT: unwrap it readable',
  'an EKT: unwrap it as another type, readable',
  'an HBK: read it',
]

let tokens: TokenDomain
let pool: HsmPool
let ekt: EktReference
let wrapped: Buffer
let blob: Buffer
/** By token, after the attacks. */
let objects: string[][]
/** By token: the first made the domain, the second received it. */
let outcomes: Outcomes[]
let onCarelessKeys: Outcomes
const carelessHbk = randomBytes(32)

beforeAll(async () => {
  tokens = await makeTokenDomain(['first', 'second'])
  pool = await tokens.startPool()
  const request = { account: '000000000001', keySpec: 'SYMMETRIC_DEFAULT', keyUsage: 'ENCRYPT_DECRYPT' }
  const record = Buffer.from((await pool.call('createBackingKey', { ...request, kid: kidOf(newKeyId()) })).record)
  const { body } = decodeEkt(record).fields
  wrapped = body.kind === 'wrapped' ? body.bytes : Buffer.alloc(0)
  ekt = { record, digest: hash('sha256', record, 'buffer') }
  blob = Buffer.from((await pool.call('encrypt', { ekt, plaintext: PLAINTEXT, contextHash: NO_CONTEXT })).blob)
  const { locations, description: domain } = tokens
  outcomes = await Promise.all(locations.map(location => asPinHolder(location, 'attack', { domain, wrapped })))
  objects = await Promise.all(locations.map(location => asPinHolder(location, 'listObjects', {})))
  onCarelessKeys = await asPinHolder(locations[0]!, 'attackUnsealed', { hbk: carelessHbk })
})

afterAll(async () => {
  await pool?.close()
  tokens?.remove()
})

const attackNames = Object.keys({ ...attacks, ...trustAttacks })

describe('a PIN holder, on the keys of a domain', () => {
  it.each(attackNames)('is refused: %s', name => {
    const refused = { refused: expect.stringMatching(/^CKR_(?!OK)\w+/) }
    expect(outcomes.map(each => each[name])).toEqual([refused, refused])
  })

  it('leaves legitimate use as it was', async () => {
    const { locations, description: domain } = tokens
    expect(await asPinHolder(locations[0]!, 'unwrapProperly', { domain, wrapped })).toBe(true)
    const open = async (by: HsmPool) => (await by.call('decrypt', { ekt, blob, contextHash: NO_CONTEXT })).plaintext
    expect(await open(pool)).toEqual(PLAINTEXT)
    for (const location of locations) {
      const fresh = await tokens.startPool([location])
      try {
        expect(await open(fresh)).toEqual(PLAINTEXT)
      } finally {
        await fresh.close()
      }
    }
  })
})

describe('a PIN holder, on keys made carelessly', () => {
  const succeeded = () => Object.keys(onCarelessKeys).filter(name => 'stolen' in onCarelessKeys[name]!)

  it('succeeds with every one of these attacks that a key can be proof against', () => {
    expect(Object.keys(attacks).filter(name => !succeeded().includes(name))).toEqual(REFUSED_ON_ANY_KEY)
  })

  it.each(READS_THE_HBK)('reads the HBK: %s', name => {
    expect(onCarelessKeys[name]).toEqual({ stolen: carelessHbk })
  })
})

describe('a domain that init made', () => {
  it('says that it is sealed', () => {
    expect(tokens.domain.sealed).toBe(true)
  })

  it('has its five keys in each token, and nothing else, least of all what is trusted', () => {
    const expected = [
      'private strongroom/audit',
      'public strongroom/audit',
      ...['dk.1.gen', 'dk.1.use', 'mac.1.sign', 'mac.1.verify'].map(name => `secret strongroom/${name}`),
    ]
    expect(objects).toEqual([expected, expected])
  })
})
