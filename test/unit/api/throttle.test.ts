/** Request rates: the bucket, whose requests count together, and as what a request is counted. */
import { beforeEach, describe, expect, it } from '@jest/globals'
import { rateNameOf } from '../../../src/api/rate-names.ts'
import { Throttle } from '../../../src/api/throttle.ts'
import { AWS_REQUEST_RATES, type RateName } from '../../../src/base/request-rates.ts'
import { TokenBucket } from '../../../src/base/token-bucket.ts'
import { checkConfiguration } from '../../../src/config/load.ts'
import type { Caller } from '../../../src/model/caller.ts'
import { OPERATION_NAMES } from '../../../src/model/operations.ts'
import { Metrics } from '../../../src/telemetry/metrics.ts'

describe('a token bucket', () => {
  const asked = (bucket: TokenBucket, times: number, nowMs: number) =>
    Array.from({ length: times }, () => {
      const room = bucket.hasRoom(nowMs)
      if (room) bucket.take()
      return room
    }).filter(room => room).length

  it("holds a second's worth, and fills at its rate, never beyond", () => {
    const bucket = new TokenBucket(10, 0)
    expect(asked(bucket, 20, 0)).toBe(10)
    expect(asked(bucket, 20, 99)).toBe(0)
    expect(asked(bucket, 20, 100)).toBe(1)
    expect(asked(bucket, 20, 600)).toBe(5)
    expect(asked(bucket, 20, 3_600_000)).toBe(10)
  })

  it('lets one request come where the rate is less than one a second', () => {
    const bucket = new TokenBucket(0.25, 0)
    expect(asked(bucket, 3, 0)).toBe(1)
    expect(asked(bucket, 3, 3_999)).toBe(0)
    expect(asked(bucket, 3, 4_000)).toBe(1)
  })

  it('loses nothing when it is asked very often', () => {
    const bucket = new TokenBucket(5, 0)
    let let_through = 0
    for (let ms = 0; ms <= 10_000; ms++) let_through += asked(bucket, 1, ms)
    expect(let_through).toBeGreaterThanOrEqual(54)
    expect(let_through).toBeLessThanOrEqual(55)
  })
})

describe('Throttle', () => {
  const callerOf = (name: string, account = '000000000001', session?: string): Caller => ({
    kind: session === undefined ? 'user' : 'assumed-role',
    arn: `arn:aws:iam::${account}:${name}${session ?? ''}`,
    account,
    userId: `${name}${session ?? ''}`,
    principalArn: `arn:aws:iam::${account}:${name}`,
    policies: [],
    tags: new Map(),
  })
  const alice = callerOf('user/alice')
  const bob = callerOf('user/bob')
  let nowMs: number
  let metrics: Metrics

  beforeEach(() => {
    nowMs = 0
    metrics = new Metrics()
  })

  function throttleOf(requests: object): Throttle {
    const token = { uri: 'pkcs11:token=a?module-path=/usr/lib/m.so&pin-source=file:/run/pin' }
    const document = { stateDir: '/s', regions: [{ name: 'on-prem-1', tokens: [token] }], quotas: { requests } }
    return new Throttle(checkConfiguration(document, '/c.yaml').quotas.requests, { metrics, nowMs: () => nowMs })
  }

  /** How many of so many requests pass. */
  function passed(throttle: Throttle, times: number, caller = alice, rate: RateName = 'symmetric', region = 'a') {
    let count = 0
    for (let n = 0; n < times; n++) {
      try {
        throttle.count(caller, region, rate)
        count += 1
      } catch (error) {
        expect(error).toMatchObject({ code: 'ThrottlingException' })
      }
    }
    return count
  }

  it('throttles nobody by default', () => {
    expect(passed(throttleOf({}), 50_000)).toBe(50_000)
  })

  it('lets a principal be fast enough and no faster, and others meanwhile', () => {
    const throttle = throttleOf({ principal: { symmetric: 10 } })
    expect(passed(throttle, 100)).toBe(10)
    expect(passed(throttle, 5, bob)).toBe(5)
    expect(passed(throttle, 5, alice, 'rsa')).toBe(5)
    expect(passed(throttle, 100, alice, 'symmetric', 'another-region')).toBe(10)
    nowMs += 500
    expect(passed(throttle, 100)).toBe(5)
  })

  it('counts all sessions of a role as one', () => {
    const throttle = throttleOf({ principal: { all: 10 } })
    expect(passed(throttle, 6, callerOf('role/orders', '000000000001', '/monday'))).toBe(6)
    expect(passed(throttle, 6, callerOf('role/orders', '000000000001', '/tuesday'))).toBe(4)
  })

  it('counts the principals of an account together, and those of another apart', () => {
    const throttle = throttleOf({ account: { CreateKey: 5 } })
    expect(passed(throttle, 3, alice, 'CreateKey')).toBe(3)
    expect(passed(throttle, 3, bob, 'CreateKey')).toBe(2)
    expect(passed(throttle, 3, callerOf('user/carol', '111122223333'), 'CreateKey')).toBe(3)
    expect(passed(throttle, 30, alice, 'DescribeKey')).toBe(30)
  })

  it("does not let a principal that is refused use up its account's rate", () => {
    const throttle = throttleOf({ account: { all: 20 }, principal: { all: 10 } })
    expect(passed(throttle, 1_000)).toBe(10)
    expect(passed(throttle, 1_000, bob)).toBe(10)
  })

  it("gives an account AWS's rates, and its own before them", () => {
    const throttle = throttleOf({ preset: 'aws', account: { CreateKey: 7 } })
    expect(passed(throttle, 100, alice, 'CreateKey')).toBe(7)
    expect(passed(throttle, 100, alice, 'CreateAlias')).toBe(AWS_REQUEST_RATES.CreateAlias)
    expect(passed(throttle, 10_000)).toBe(AWS_REQUEST_RATES.symmetric)
  })

  it('counts the refused, by quota and rate', async () => {
    const throttle = throttleOf({ account: { all: 3 }, principal: { rsa: 1 } })
    passed(throttle, 2, alice, 'rsa')
    passed(throttle, 5, bob)
    const { values } = await metrics.requestsThrottled.get()
    expect(values.map(({ value, labels }) => ({ ...labels, value }))).toEqual([
      { quota: 'principal', rate: 'rsa', value: 1 },
      { quota: 'account', rate: 'all', value: 3 },
    ])
  })

  it('forgets who was silent for longest before it remembers too many', () => {
    const throttle = throttleOf({ principal: { all: 1 } })
    expect(passed(throttle, 2)).toBe(1)
    for (let n = 0; n < 10_000; n++) passed(throttle, 1, callerOf(`user/${n}`))
    expect(passed(throttle, 2)).toBe(1)
  })
})

describe('what a request is counted as', () => {
  it.each([
    ['Encrypt', {}, 'symmetric'],
    ['Encrypt', { EncryptionAlgorithm: 'SYMMETRIC_DEFAULT' }, 'symmetric'],
    ['Decrypt', { EncryptionAlgorithm: 'RSAES_OAEP_SHA_256' }, 'rsa'],
    ['ReEncrypt', { DestinationEncryptionAlgorithm: 'RSAES_OAEP_SHA_1' }, 'rsa'],
    ['ReEncrypt', {}, 'symmetric'],
    ['Sign', { SigningAlgorithm: 'RSASSA_PSS_SHA_256' }, 'rsa'],
    ['Verify', { SigningAlgorithm: 'ECDSA_SHA_256' }, 'ecc'],
    ['GenerateDataKeyPair', { KeyPairSpec: 'RSA_4096' }, 'rsa4096DataKeyPairs'],
    ['GenerateDataKeyPairWithoutPlaintext', { KeyPairSpec: 'ECC_SECG_P256K1' }, 'eccDataKeyPairs'],
    ['GenerateMac', { MacAlgorithm: 'HMAC_SHA_256' }, 'symmetric'],
    ['CreateKey', { KeySpec: 'RSA_2048' }, 'CreateKey'],
  ] as const)('%s with %o is %s', (operation, input, expected) => {
    expect(rateNameOf(operation, input)).toBe(expected)
  })

  it('is a rate that can be configured, for every operation', () => {
    for (const operation of OPERATION_NAMES) expect(AWS_REQUEST_RATES).toHaveProperty(rateNameOf(operation, {}))
  })

  it('is an operation of the API where it is one of its own', () => {
    const names = Object.keys(AWS_REQUEST_RATES).filter(name => /^[A-Z]/.test(name))
    expect(names.filter(name => !(OPERATION_NAMES as readonly string[]).includes(name))).toEqual([])
  })
})
