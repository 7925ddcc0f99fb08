/** The token that a ceremony process has open: for its user, and for its security officer while something needs one. */
import type { DomainForks, PinSource } from '../../contract/ceremony.ts'
import type { TokenLocation } from '../../contract/host-configuration.ts'
import { type Capabilities, chooseCapabilities } from '../capabilities.ts'
import type { SessionHandle } from '../cryptoki.ts'
import { type Examination, examineToken } from '../profile/examine.ts'
import { logIn, logInOfficer, openSession, openToken, readPin, type Token } from '../token.ts'

export class CeremonyToken {
  readonly token: Token
  readonly session: SessionHandle
  readonly examination: Examination

  /** Opens the token, logs its user in and tries what it can do. Throws HsmFault. */
  constructor(location: TokenLocation) {
    this.token = openToken(location)
    this.session = openSession(this.token)
    logIn(this.token, this.session)
    this.examination = examineToken(this.token, this.session, location.profile)
  }

  /** What a domain uses of the token. Throws HsmFault when the token lacks its schemes. */
  capabilitiesFor({ schemes }: Pick<DomainForks, 'schemes'>): Capabilities {
    return chooseCapabilities(this.examination, schemes)
  }

  /** How domain keys wrap in this token; undefined where a domain has none. Throws HsmFault as `capabilitiesFor` does. */
  wrapMechanismFor(domain: Pick<DomainForks, 'schemes'>) {
    return this.capabilitiesFor(domain).wrap?.mechanism
  }

  /**
   * Runs `work` with the SO logged in, and the user afterwards; as the user where there is no SO to ask. Private session
   * objects of this process go with the log-out.
   */
  asOfficer(officerPin: string | undefined, work: () => void): void {
    if (officerPin === undefined) {
      work()
      return
    }
    const { token, session } = this
    token.cryptoki.C_Logout(session)
    try {
      logInOfficer(token, session, officerPin)
      try {
        work()
      } finally {
        token.cryptoki.C_Logout(session)
      }
    } finally {
      logIn(token, session)
    }
  }
}

/** Throws HsmFault for a file that is not there, or open to others. */
export function pinOf(source: PinSource): string {
  return 'file' in source ? readPin(source.file) : source.typed
}
