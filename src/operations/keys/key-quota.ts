/** How many keys an account may have in a region, whatever their state. */
import type { ResourceQuotas } from '../../config/schema.ts'
import { KmsError } from '../../model/errors.ts'
import type { Scope } from '../../store/records.ts'

/** Throws KmsError LimitExceededException. */
export function requireRoomForKey({ region, account }: Scope, keys: number, { keysPerAccount }: ResourceQuotas): void {
  if (keys < keysPerAccount) return
  const message = `Account ${account} has ${keys} keys in ${region}; an account can have ${keysPerAccount} in a region.`
  throw new KmsError('LimitExceededException', message)
}
