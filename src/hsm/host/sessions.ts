/**
 * The sessions of a host: one that owns every unwrapped HBK and is never lent, and one that commands work in, opened
 * once and reused. A host does one thing at a time, so one working session is enough.
 */
import { HsmFault } from '../contract/fault.ts'
import { faultOf } from './ckr.ts'
import type { SessionHandle } from './cryptoki.ts'
import { logIn, openSession, type Token } from './token.ts'

export class Sessions {
  /** Owns the HBK handles: an object lives as long as the session that made it. */
  readonly cache: SessionHandle
  readonly #token: Token
  #working: SessionHandle

  /** Opens both sessions and logs in. Throws HsmFault. */
  constructor(token: Token) {
    this.#token = token
    try {
      this.cache = openSession(token)
      logIn(token, this.cache)
      this.#working = openSession(token)
    } catch (error) {
      throw faultOf(error)
    }
  }

  get open(): number {
    return 2
  }

  /**
   * Lends the working session. After a fault that is not the caller's or the key's the session may be anywhere in an
   * operation, and PKCS#11 2.40 has no way to end one but to close the session: it is replaced.
   */
  withSession<T>(use: (session: SessionHandle) => T): T {
    try {
      return use(this.#working)
    } catch (error) {
      const fault = faultOf(error)
      if (fault.kind !== 'input' && fault.kind !== 'key') this.#replace()
      throw fault
    }
  }

  #replace(): void {
    try {
      this.#token.cryptoki.C_CloseSession(this.#working)
    } catch {
      // It is to be let go of in any case.
    }
    try {
      this.#working = openSession(this.#token)
    } catch (error) {
      throw new HsmFault('module', `no session can be opened: ${faultOf(error).reason}`, { cause: error })
    }
  }
}
