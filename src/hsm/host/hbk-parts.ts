/** What it takes to make HBKs, and to take them into use. */
import type { MessageCiphers } from './ciphers/message-ciphers.ts'
import type { Cryptoki } from './cryptoki.ts'
import type { Domains } from './domains.ts'
import type { EktRecords } from './ekt-records.ts'
import type { ResidentKeys } from './resident-keys.ts'
import type { Sessions } from './sessions.ts'

export interface HbkParts {
  readonly cryptoki: Cryptoki
  readonly sessions: Sessions
  readonly domains: Domains
  readonly ciphers: MessageCiphers
  readonly resident: ResidentKeys
  readonly records: EktRecords
}
