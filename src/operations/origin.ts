/** Whether a key's material comes from where an operation needs it to come from. */
import { KmsError } from '../model/errors.ts'
import type { KeyOrigin, KmsKey } from '../model/key.ts'

/** Throws KmsError UnsupportedOperationException. */
export function requireOrigin({ arn, origin }: KmsKey, needed: KeyOrigin): void {
  if (origin === needed) return
  throw new KmsError(
    'UnsupportedOperationException',
    `${arn} origin is ${origin} which is not valid for this operation.`,
  )
}
