/** What a command handler is: arguments in, result out, the parts of this host beside it. It may throw HsmFault. */
import type { Args, CommandName, Result } from '../../contract/commands.ts'
import type { AuditKey } from '../audit-key.ts'
import type { BackingKeys } from '../backing-keys.ts'
import type { Canary } from '../canary.ts'
import type { DomainKeys } from '../domain-keys.ts'
import type { Domains } from '../domains.ts'
import type { HbkMaker } from '../hbk-maker.ts'
import type { Imports } from '../imports.ts'
import type { ResidentKeys } from '../resident-keys.ts'
import type { RsaDecryption } from '../rsa-decryption.ts'
import type { Sealing } from '../sealing.ts'
import type { Sessions } from '../sessions.ts'
import type { Token } from '../token.ts'

export interface HostParts {
  readonly token: Token
  readonly sessions: Sessions
  /** The region's, which signs stored records. */
  readonly domain: DomainKeys
  readonly domains: Domains
  readonly backingKeys: BackingKeys
  readonly hbkMaker: HbkMaker
  readonly resident: ResidentKeys
  readonly sealing: Sealing
  readonly rsa: RsaDecryption
  readonly imports: Imports
  readonly canary: Canary
  readonly auditKey: AuditKey
  /** The check values of the MAC keys that new records are signed with, as they were when the host started. */
  readonly macCheckValue: string
  /** Buffers that held plaintext: they are overwritten once the answer has been written. */
  readonly wipeLater: (bytes: Buffer) => void
}

export type Handler<C extends CommandName> = (host: HostParts, args: Args<C>) => Result<C>

export const NO_BYTES = Buffer.alloc(0)
