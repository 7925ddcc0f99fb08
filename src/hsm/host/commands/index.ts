/** Every command of the contract and its handler; one that is missing does not compile. */
import type { CommandName } from '../../contract/commands.ts'
import { checkPublicKey } from './check-public-key.ts'
import type { Handler } from './command.ts'
import { createAccessKeySecret } from './create-access-key-secret.ts'
import { createBackingKey } from './create-backing-key.ts'
import { createImportKey } from './create-import-key.ts'
import { createResidentKey } from './create-resident-key.ts'
import { decapsulate } from './decapsulate.ts'
import { decrypt } from './decrypt.ts'
import { decryptRsa } from './decrypt-rsa.ts'
import { deriveSharedSecret } from './derive-shared-secret.ts'
import { destroyResidentKey } from './destroy-resident-key.ts'
import { encrypt } from './encrypt.ts'
import { evict } from './evict.ts'
import { generateDataKey } from './generate-data-key.ts'
import { generateDataKeyPair } from './generate-data-key-pair.ts'
import { generateMac } from './generate-mac.ts'
import { generateRandom } from './generate-random.ts'
import { importKeyMaterial } from './import-key-material.ts'
import { listResidentKeys } from './list-resident-keys.ts'
import { macRows } from './mac-rows.ts'
import { openSession } from './open-session.ts'
import { openSigningKey } from './open-signing-key.ts'
import { reEncrypt } from './re-encrypt.ts'
import { reEncryptRsa } from './re-encrypt-rsa.ts'
import { readAnchor } from './read-anchor.ts'
import { sealSession } from './seal-session.ts'
import { sign } from './sign.ts'
import { signCheckpoint } from './sign-checkpoint.ts'
import { status } from './status.ts'
import { verify } from './verify.ts'
import { verifyMac } from './verify-mac.ts'
import { verifyRows } from './verify-rows.ts'
import { writeAnchor } from './write-anchor.ts'

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
  verifyMac,
  verify,
  sign,
  reEncryptRsa,
  generateDataKeyPair,
  deriveSharedSecret,
  decapsulate,
  decryptRsa,
  checkPublicKey,
  createResidentKey,
  createImportKey,
  importKeyMaterial,
  destroyResidentKey,
  listResidentKeys,
  sealSession,
  openSession,
  macRows,
  verifyRows,
  readAnchor,
  writeAnchor,
  signCheckpoint,
}
