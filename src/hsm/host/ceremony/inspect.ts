/**
 * Everything that a token says of itself and shows in self-tests, for an operator who has to choose one. It works on tokens
 * that Strongroom cannot use and before there is a domain: whatever cannot be done is told, and the rest goes on.
 *
 * By pkcs11js, since the library is loaded, and perhaps logged in to, through it already.
 */
import type { CeremonyArgs, CeremonyResult } from '../../contract/ceremony.ts'
import type { ListedMechanism } from '../../contract/token-inspection.ts'
import type { Cryptoki } from '../cryptoki.ts'
import { mechanismName } from '../mechanism-names.ts'
import { explain } from '../profile/bench.ts'
import { type Examination, examineToken } from '../profile/examine.ts'
import { quirksOf } from '../profile/quirks.ts'
import { logIn, openSession, openToken, type Token } from '../token.ts'

const FLAGS = [
  ['hardware', 0x1],
  ['encrypt', 0x100],
  ['decrypt', 0x200],
  ['digest', 0x400],
  ['sign', 0x800],
  ['verify', 0x2000],
  ['generate', 0x8000],
  ['generate pair', 0x1_0000],
  ['wrap', 0x2_0000],
  ['unwrap', 0x4_0000],
  ['derive', 0x8_0000],
] as const

/** Throws HsmFault when the module does not load or holds no such token. */
export function inspectToken({ location }: CeremonyArgs<'inspect'>): CeremonyResult<'inspect'> {
  const token = openToken(location)
  const { cryptoki, slot, label, serial, manufacturer, model } = token
  const info = cryptoki.C_GetTokenInfo(slot)
  const library = cryptoki.C_GetInfo()
  const quirks = quirksOf({ manufacturer, model, library: `${library.manufacturerID} ${library.libraryDescription}` })
  const examined = examine(token, location)
  return {
    token: { label, serial, manufacturer, model },
    vendor: quirks.vendor,
    hardwareVersion: versionOf(info.hardwareVersion),
    firmwareVersion: versionOf(info.firmwareVersion),
    library: {
      path: token.uri.modulePath,
      manufacturer: library.manufacturerID.trim(),
      description: library.libraryDescription.trim(),
      version: versionOf(library.libraryVersion),
      cryptokiVersion: versionOf(library.cryptokiVersion),
    },
    limits: {
      maxSessions: known(info.maxSessionCount),
      maxReadWriteSessions: known(info.maxRwSessionCount),
      minPinBytes: known(info.minPinLen),
      maxPinBytes: known(info.maxPinLen),
      freePublicMemoryBytes: known(info.freePublicMemory),
      freePrivateMemoryBytes: known(info.freePrivateMemory),
    },
    mechanisms: listMechanisms(cryptoki, slot),
    notes: [...quirks.notes],
    ...examined,
  }
}

function examine(token: Token, location: CeremonyArgs<'inspect'>['location']) {
  try {
    const session = openSession(token)
    logIn(token, session)
    const { profile, tests }: Examination = examineToken(token, session, location.profile)
    return { profile, tests: [...tests], problem: '' }
  } catch (error) {
    return { profile: null, tests: [], problem: explain(error) }
  }
}

function listMechanisms(cryptoki: Cryptoki, slot: Buffer): ListedMechanism[] {
  return cryptoki
    .C_GetMechanismList(slot)
    .map(number => {
      const { flags, minKeySize, maxKeySize } = cryptoki.C_GetMechanismInfo(slot, number)
      const rights = FLAGS.filter(([, bit]) => (flags & bit) !== 0).map(([name]) => name)
      return {
        number,
        name: mechanismName(number),
        rights,
        minKeySize: known(minKeySize),
        maxKeySize: known(maxKeySize),
      }
    })
    .toSorted((a, b) => a.number - b.number)
}

function versionOf({ major, minor }: { major: number; minor: number }): string {
  return `${major}.${minor}`
}

/** 0 for what the token does not say: all ones, in 32 or 64 bits, are CK_UNAVAILABLE_INFORMATION. */
function known(count: number | bigint): number {
  const value = Number(count)
  return Number.isSafeInteger(value) && value > 0 && value !== 0xffff_ffff ? value : 0
}
