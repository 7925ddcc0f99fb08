/** Whether keys can live in a session alone, and whether one session's objects are another's too. */
import pkcs11 from 'pkcs11js'
import type { TokenProfile } from '../../contract/token-profile.ts'
import { openSession } from '../token.ts'
import { type Bench, WrongAnswer } from './bench.ts'

export function trySessions(bench: Bench): Pick<TokenProfile, 'sessionObjects' | 'crossSessionHandles'> {
  const { cryptoki, session } = bench
  const readFlag = (key: Buffer, type: number, by = session) =>
    Buffer.from(cryptoki.C_GetAttributeValue(by, key, [{ type }])[0]?.value as Buffer)[0]
  const key = bench.try('a key as a session object', () => {
    const handle = bench.generateKey(pkcs11.CKK_GENERIC_SECRET, { SIGN: true })
    if (readFlag(handle, pkcs11.CKA_TOKEN) !== 0) throw new WrongAnswer('it becomes a token object')
    return handle
  })
  if (key === undefined) return { sessionObjects: false, crossSessionHandles: false }
  const crossed = bench.try('a key of one session used in another', () => {
    const other = openSession(bench.token)
    try {
      if (readFlag(key, pkcs11.CKA_SIGN, other) !== 1) throw new WrongAnswer('it is another key there')
      return true
    } finally {
      cryptoki.C_CloseSession(other)
    }
  })
  return { sessionObjects: true, crossSessionHandles: crossed !== undefined }
}
