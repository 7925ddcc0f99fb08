/** Every command of the contract and its handler; one that is missing does not compile. */
import type { CommandName } from '../../contract/commands.ts'
import type { Handler } from './command.ts'
import { createAccessKeySecret } from './create-access-key-secret.ts'
import { createBackingKey } from './create-backing-key.ts'
import { decrypt } from './decrypt.ts'
import { encrypt } from './encrypt.ts'
import { evict } from './evict.ts'
import { generateDataKey } from './generate-data-key.ts'
import { generateMac } from './generate-mac.ts'
import { generateRandom } from './generate-random.ts'
import { openSession } from './open-session.ts'
import { openSigningKey } from './open-signing-key.ts'
import { reEncrypt } from './re-encrypt.ts'
import { sealSession } from './seal-session.ts'
import { status } from './status.ts'

export const handlers: { readonly [C in CommandName]: Handler<C> } = {
  createBackingKey,
  generateDataKey,
  encrypt,
  decrypt,
  reEncrypt,
  generateRandom,
  generateMac,
  createAccessKeySecret,
  openSigningKey,
  evict,
  status,
  sealSession,
  openSession,
}
