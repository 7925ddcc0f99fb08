import { structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'
import { epochSeconds } from './key-metadata.ts'

const MS_PER_SECOND = 1_000

/**
 * GetKeyLastUsage tells when a key was last used for a cryptographic operation that succeeded, and by which request,
 * as its caller and the audit log know it. The key's id is answered in the form that it was asked in.
 */
export const GetKeyLastUsage = defineOperation({
  name: 'GetKeyLastUsage',
  input: structure({ KeyId: keyId }),
  readOnly: true,
  access: (access, request, { KeyId }) =>
    access.key(request, 'GetKeyLastUsage', KeyId, { action: 'kms:GetKeyLastUsage' }),

  async run(key, { keyUses, store }, input) {
    const use = await keyUses.last(key)
    const trackedSinceMs = Math.max(await store.reader.findTrackingStart(), key.createdAtMs)
    return {
      KeyId: input.KeyId,
      KeyLastUsage:
        use === undefined
          ? {}
          : {
              Operation: use.operation,
              Timestamp: Math.floor(use.atMs / MS_PER_SECOND),
              CloudTrailEventId: use.eventId,
              KmsRequestId: use.requestId,
            },
      TrackingStartDate: epochSeconds(trackedSinceMs),
      KeyCreationDate: epochSeconds(key.createdAtMs),
    }
  },
})
