/** Which regions share a domain for multi-Region keys, in which tokens, and how a ceremony is told to mean it. */
import { describe, expect, it } from '@jest/globals'
import { chosenRegion } from '../../../src/cli/run-ceremony.ts'
import { checkConfiguration } from '../../../src/config/load.ts'
import { sharedDomainOf } from '../../../src/config/multi-region.ts'

const uri = (token: string) => `pkcs11:token=${token}?module-path=/usr/lib/m.so&pin-source=file:/run/pin`
const configurationOf = (regions: Record<string, string[]>, domain = {}) =>
  checkConfiguration(
    {
      ...{ stateDir: '/var/lib/strongroom', domain },
      regions: Object.entries(regions).map(([name, tokens]) => ({
        name,
        tokens: tokens.map(each => ({ uri: uri(each) })),
      })),
    },
    '/etc/strongroom.yaml',
  )
const one = { 'on-prem-1': ['a'] }
const two = { 'on-prem-1': ['a', 'b'], 'on-prem-2': ['c', 'b'] }

describe('the domain that regions share', () => {
  it.each([
    ['one region', one, 'auto', false],
    ['one region that is to have it', one, 'always', true],
    ['two regions', two, 'auto', true],
    ['two regions that are not', two, 'never', false],
  ] as const)('with %s', (_, regions, multiRegion, there) => {
    const shared = sharedDomainOf(configurationOf(regions, { multiRegion }))
    expect(shared !== undefined).toBe(there)
    if (shared !== undefined) expect(shared.required).toBe(multiRegion === 'always')
  })

  it('is in every token of every region, each once', () => {
    const shared = sharedDomainOf(configurationOf(two))
    expect(shared).toMatchObject({ name: 'multi-region', sharedBy: ['on-prem-1', 'on-prem-2'] })
    expect(shared?.tokens.map(token => token.uri)).toEqual(['a', 'b', 'c'].map(uri))
  })

  it('is meant by a ceremony with --multi-region, and by no region’s name', () => {
    const configuration = configurationOf(two)
    expect(chosenRegion(configuration, { multiRegion: true }).name).toBe('multi-region')
    expect(chosenRegion(configuration, { region: 'on-prem-2' }).name).toBe('on-prem-2')
    for (const [options, message] of [
      [
        {},
        'name a region with --region, one of on-prem-1, on-prem-2, or the domain that they share with --multi-region',
      ],
      [{ region: 'on-prem-1', multiRegion: true }, 'give --region or --multi-region, not both'],
      [{ region: 'multi-region' }, 'the configuration has no region multi-region'],
    ] as const)
      expect(() => chosenRegion(configuration, options)).toThrow(message)
    expect(() => chosenRegion(configurationOf(one), { multiRegion: true })).toThrow('see domain.multiRegion')
    expect(chosenRegion(configurationOf(one), {}).name).toBe('on-prem-1')
    expect(() => configurationOf({ 'multi-region': ['a'] })).toThrow('must look like "on-prem-1"')
  })
})
