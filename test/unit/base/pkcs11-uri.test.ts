import { describe, expect, it } from '@jest/globals'
import fc from 'fast-check'
import { parsePkcs11Uri } from '../../../src/base/pkcs11-uri.ts'

const QUERY = 'module-path=/usr/lib/softhsm/libsofthsm2.so&pin-source=file:/etc/strongroom/pin'

describe('parsePkcs11Uri', () => {
  it('reads every attribute it knows', () => {
    const path = 'token=front;serial=00a1;manufacturer=SoftHSM%20project;model=SoftHSM%20v2;slot-id=42'
    expect(parsePkcs11Uri(`pkcs11:${path}?${QUERY}`)).toEqual({
      token: 'front',
      serial: '00a1',
      manufacturer: 'SoftHSM project',
      model: 'SoftHSM v2',
      slotId: 42,
      modulePath: '/usr/lib/softhsm/libsofthsm2.so',
      pinFile: '/etc/strongroom/pin',
    })
  })

  it.each(['token=a', 'serial=a', 'slot-id=0'])('takes %s as enough to name a token', path => {
    expect(() => parsePkcs11Uri(`pkcs11:${path}?${QUERY}`)).not.toThrow()
  })

  it.each([
    ['/run/pin', '/run/pin'],
    ['file:/run/pin', '/run/pin'],
    ['file:///run/pin', '/run/pin'],
    ['/run/my%20pin', '/run/my pin'],
  ])('reads the pin-source %s', (source, pinFile) => {
    expect(parsePkcs11Uri(`pkcs11:token=a?module-path=/m.so&pin-source=${source}`).pinFile).toBe(pinFile)
  })

  it('reads back any label that is percent-encoded', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', minLength: 1, maxLength: 32 }), label => {
        expect(parsePkcs11Uri(`pkcs11:token=${encodeURIComponent(label)}?${QUERY}`).token).toBe(label)
      }),
    )
  })

  it.each([
    ['another scheme', `http://token=a?${QUERY}`, 'must begin with "pkcs11:"'],
    ['no token named', `pkcs11:?${QUERY}`, 'must name the token'],
    ['only a manufacturer', `pkcs11:manufacturer=a?${QUERY}`, 'must name the token'],
    ['no module', 'pkcs11:token=a?pin-source=/p', 'needs "module-path"'],
    ['a relative module', 'pkcs11:token=a?module-path=m.so&pin-source=/p', 'needs "module-path"'],
    ['no PIN file', 'pkcs11:token=a?module-path=/m.so', 'needs "pin-source"'],
    ['a relative PIN file', 'pkcs11:token=a?module-path=/m.so&pin-source=p', 'must be an absolute path'],
    ['a command as PIN source', 'pkcs11:token=a?module-path=/m.so&pin-source=|cat%20p', 'must be an absolute path'],
    ['a slot that is no number', `pkcs11:slot-id=x?${QUERY}`, '"slot-id" must be a number'],
    ['a slot beyond any number', `pkcs11:slot-id=1234567890?${QUERY}`, '"slot-id" must be a number'],
    ['an attribute twice', `pkcs11:token=a;token=b?${QUERY}`, 'has "token" twice'],
    ['an unknown attribute', `pkcs11:token=a;object=k?${QUERY}`, 'has an unknown attribute "object"'],
    ['a word that is no attribute', `pkcs11:token=a;serial?${QUERY}`, 'has an unknown attribute "serial"'],
    ['a query attribute in the path', `pkcs11:token=a;module-path=/m.so?${QUERY}`, 'has an unknown attribute'],
    ['a path attribute in the query', `pkcs11:token=a?serial=1&${QUERY}`, 'has an unknown attribute "serial"'],
  ])('refuses %s', (_, uri, message) => {
    expect(() => parsePkcs11Uri(uri)).toThrow(message)
  })

  it('refuses a PIN in the URI, and does not repeat it', () => {
    for (const uri of [`pkcs11:token=a?${QUERY}&pin-value=987654`, `pkcs11:token=a;pin-value=987654?${QUERY}`]) {
      expect(() => parsePkcs11Uri(uri)).toThrow('must not hold a PIN: use "pin-source"')
    }
  })
})
