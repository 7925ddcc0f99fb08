export { DeriveSharedSecret } from './DeriveSharedSecret.ts'
export { GetPublicKey } from './GetPublicKey.ts'
export { Sign } from './Sign.ts'
export { Verify } from './Verify.ts'
