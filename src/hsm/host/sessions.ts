/**
 * The sessions of a lane: one that owns every unwrapped HBK and is never lent, and one that commands work in, opened
 * once and reused. A lane does one thing at a time, so one working session is enough.
 */
import { HsmFault } from '../contract/fault.ts'
import { faultOf } from './ckr.ts'
import type { SessionHandle } from './cryptoki.ts'
import { isLoggedIn, logIn, openSession, type Token } from './token.ts'

/** Sessions that a lane holds open. */
export const SESSIONS_PER_LANE = 2

export class Sessions {
  /** Owns the HBK handles: an object lives as long as the session that made it. */
  readonly cache: SessionHandle
  readonly #token: Token
  #working: SessionHandle

  /**
   * Opens both sessions, and logs in where nobody is. Throws HsmFault, of the kind `module` when nobody is and `mayLogIn`
   * is false: another process tries the PIN then.
   */
  constructor(token: Token, mayLogIn: boolean) {
    this.#token = token
    try {
      this.cache = openSession(token)
      if (!isLoggedIn(token, this.cache)) {
        if (!mayLogIn) throw new HsmFault('module', 'the login is lost')
        logIn(token, this.cache)
      }
      this.#working = openSession(token)
    } catch (error) {
      throw faultOf(error)
    }
  }

  get open(): number {
    return SESSIONS_PER_LANE
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

  /** Whether the login stands, as the token sees it. Throws HsmFault when the session is gone. */
  requireLogin(): void {
    this.withSession(session => {
      if (!isLoggedIn(this.#token, session)) throw new HsmFault('module', 'the login is lost')
    })
  }

  /** Closes both; the HBKs go with them. */
  close(): void {
    for (const session of [this.#working, this.cache]) this.#close(session)
  }

  #replace(): void {
    this.#close(this.#working)
    try {
      this.#working = openSession(this.#token)
    } catch (error) {
      throw new HsmFault('module', `no session can be opened: ${faultOf(error).reason}`, { cause: error })
    }
  }

  #close(session: SessionHandle): void {
    try {
      this.#token.cryptoki.C_CloseSession(session)
    } catch {
      // It is to be let go of in any case.
    }
  }
}
