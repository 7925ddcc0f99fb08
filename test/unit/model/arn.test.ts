import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { aliasArn, keyArn, parseKmsArn, rootArn, userArn } from '../../../src/model/arn.ts'

const KEY_ID = '1234abcd-12ab-34cd-56ef-1234567890ab'

describe('ARNs', () => {
  it('are spelled as AWS spells them', () => {
    expect(keyArn('on-prem-1', '000000000001', KEY_ID)).toBe(`arn:aws:kms:on-prem-1:000000000001:key/${KEY_ID}`)
    expect(aliasArn('on-prem-1', '000000000001', 'alias/a')).toBe('arn:aws:kms:on-prem-1:000000000001:alias/a')
    expect(userArn('000000000001', '/', 'admin')).toBe('arn:aws:iam::000000000001:user/admin')
    expect(userArn('000000000001', '/team/', 'ann')).toBe('arn:aws:iam::000000000001:user/team/ann')
    expect(rootArn('000000000001')).toBe('arn:aws:iam::000000000001:root')
  })

  it('give their parts back', () => {
    const region = fc.constantFrom('on-prem-1', 'eu-central-1', 'us-gov-west-1')
    const account = fc.stringMatching(/^\d{12}$/)
    const name = fc.stringMatching(/^alias\/[a-zA-Z0-9:/_-]{1,50}$/)
    fc.assert(
      fc.property(region, account, name, fc.uuid(), (region, account, name, keyId) => {
        expect(parseKmsArn(keyArn(region, account, keyId))).toEqual({ region, account, resource: `key/${keyId}` })
        expect(parseKmsArn(aliasArn(region, account, name))).toEqual({ region, account, resource: name })
      }),
    )
  })

  it.each([
    '',
    'arn',
    KEY_ID,
    'alias/a',
    `arn:aws-cn:kms:on-prem-1:000000000001:key/${KEY_ID}`,
    `arn:aws:iam:on-prem-1:000000000001:key/${KEY_ID}`,
    `ARN:aws:kms:on-prem-1:000000000001:key/${KEY_ID}`,
    `arn:aws:kms::000000000001:key/${KEY_ID}`,
    `arn:aws:kms:on-prem-1::key/${KEY_ID}`,
    `arn:aws:kms:on-prem-1:00000000001:key/${KEY_ID}`,
    `arn:aws:kms:on-prem-1:0000000000001:key/${KEY_ID}`,
    `arn:aws:kms:on-prem-1:00000000000a:key/${KEY_ID}`,
    'arn:aws:kms:on-prem-1:000000000001',
    'arn:aws:kms:on-prem-1:000000000001:',
    'arn:aws:kms:on-prem-1:000000000001:key/',
    'arn:aws:kms:on-prem-1:000000000001:alias/',
    'arn:aws:kms:on-prem-1:000000000001:keys/a',
    `arn:aws:kms:on-prem-1:000000000001:${KEY_ID}`,
  ])('are not read from %j', text => {
    expect(parseKmsArn(text)).toBeUndefined()
  })

  it('never throw on any text', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        text => parseKmsArn(text) === undefined || text.startsWith('arn:aws:kms:'),
      ),
    )
  })
})
