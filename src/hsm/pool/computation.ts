/**
 * What a command has the token compute, for a label of its metrics: the mechanism by its standard, or where a request chooses
 * it, the algorithm or key spec that it chose, in the words of the API. The numbers of PKCS#11 stay in the crypto world. All
 * of it comes from closed sets: an operation has checked it before a command is made.
 */
import type { Args, CommandName } from '../contract/commands.ts'

export const AES_GCM = 'AES-256-GCM'
export const HMAC = 'HMAC'
export const HMAC_SHA_256 = 'HMAC-SHA-256'
export const ECDH = 'ECDH'
export const ECDSA_SHA_256 = 'ECDSA_SHA_256'
export const ML_KEM = 'ML-KEM'
export const RANDOM = 'random'
/** Commands that look after objects, or after several things at once. */
export const NONE = 'none'

type Chosen<C extends CommandName> = (args: Args<C>) => string

const COMPUTATIONS: { readonly [C in CommandName]: string | Chosen<C> } = {
  createBackingKey: ({ keySpec }) => keySpec,
  createResidentKey: ({ keySpec }) => keySpec,
  createImportKey: ({ keySpec }) => keySpec,
  generateDataKeyPair: ({ pairSpec }) => pairSpec,
  importKeyMaterial: ({ algorithm }) => algorithm,
  generateDataKey: AES_GCM,
  encrypt: AES_GCM,
  decrypt: AES_GCM,
  reEncrypt: AES_GCM,
  sign: ({ algorithm }) => algorithm,
  verify: ({ algorithm }) => algorithm,
  decryptRsa: ({ algorithm }) => algorithm,
  reEncryptRsa: ({ sourceAlgorithm, destinationAlgorithm }) =>
    sourceAlgorithm === 'SYMMETRIC_DEFAULT' ? destinationAlgorithm : sourceAlgorithm,
  deriveSharedSecret: ECDH,
  decapsulate: ML_KEM,
  generateMac: HMAC,
  verifyMac: HMAC,
  signCheckpoint: ECDSA_SHA_256,
  checkPublicKey: HMAC_SHA_256,
  macRows: HMAC_SHA_256,
  verifyRows: HMAC_SHA_256,
  createAccessKeySecret: AES_GCM,
  openSigningKey: AES_GCM,
  sealSession: AES_GCM,
  openSession: AES_GCM,
  status: AES_GCM,
  generateRandom: RANDOM,
  destroyResidentKey: NONE,
  listResidentKeys: NONE,
  readAnchor: NONE,
  writeAnchor: NONE,
  evict: NONE,
}

export function computationOf(name: CommandName, args: Args<CommandName>): string {
  const computation = COMPUTATIONS[name]
  return typeof computation === 'string' ? computation : (computation as Chosen<CommandName>)(args)
}
