import { describe, expect, it } from '@jest/globals'
import { REGION_NAME } from '../../../src/base/region.ts'

describe('REGION_NAME', () => {
  it.each(['on-prem-1', 'us-east-1', 'us-gov-west-1', 'ap-southeast-12'])('fits %s', name => {
    expect(REGION_NAME.test(name)).toBe(true)
  })

  it.each(['', 'on-prem', 'onprem-1', 'On-Prem-1', 'on-prem-1a', 'on-prem-1\n', 'a-b-c-d-1', 'on_prem_1', 'on-prem-'])(
    'does not fit %j',
    name => {
      expect(REGION_NAME.test(name)).toBe(false)
    },
  )
})
