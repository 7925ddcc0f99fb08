import { LEDGER_DIGEST_BYTES } from '../../../formats/row-ledger.ts'
import { Anchors } from '../anchors.ts'
import type { Handler } from './command.ts'

const NOTHING = { epoch: 0, digest: Buffer.alloc(LEDGER_DIGEST_BYTES) }

export const readAnchor: Handler<'readAnchor'> = ({ token, sessions, domain }) =>
  sessions.withSession(session => new Anchors(token.cryptoki, domain.id).read(session)) ?? NOTHING
