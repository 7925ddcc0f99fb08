/** The crypto world's failures in the words of the API: turned here, once. */
import { HsmFault } from '../hsm/contract/fault.ts'
import { HoldersUnavailable, PoolBusy, PoolUnavailable } from '../hsm/pool/pool.ts'
import { KmsError } from '../model/errors.ts'

const THROTTLED = 'You have exceeded the rate at which you may call KMS. Reduce the frequency of your calls.'

/**
 * What a caller is told of a failed command. A `key` fault means that an EKT was refused: the store holds something the
 * token did not sign, so it is an internal error with its reason in the log, never the caller's fault.
 */
export function kmsErrorOf(error: unknown): Error {
  if (error instanceof HsmFault && error.kind === 'input') {
    return new KmsError('InvalidCiphertextException', '', { detail: error.reason })
  }
  if (error instanceof HsmFault) {
    return new KmsError('KMSInternalException', 'The request failed in the HSM.', {
      detail: error.message,
      cause: error,
    })
  }
  if (error instanceof PoolBusy) return new KmsError('ThrottlingException', THROTTLED, { detail: error.message })
  if (error instanceof HoldersUnavailable) {
    return new KmsError('KeyUnavailableException', 'The key is not available now. Try again.', {
      detail: error.message,
    })
  }
  if (error instanceof PoolUnavailable) {
    return new KmsError('DependencyTimeoutException', 'No HSM can serve the request now. Try again.', {
      detail: error.message,
    })
  }
  return error instanceof Error ? error : new Error(String(error))
}
