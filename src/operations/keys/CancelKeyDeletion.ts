import { structure } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'
import { changeKey } from './change-key.ts'

/** CancelKeyDeletion takes a key back from deletion. It is disabled then, until somebody enables it. */
export const CancelKeyDeletion = defineOperation({
  name: 'CancelKeyDeletion',
  input: structure({ KeyId: keyId }),
  readOnly: false,
  access: async (access, request, { KeyId }) => ({
    key: await access.key(request, 'CancelKeyDeletion', KeyId, { action: 'kms:CancelKeyDeletion' }),
  }),

  async run({ key, store }) {
    if (key.state !== 'PendingDeletion') {
      throw new KmsError('KMSInvalidStateException', `${key.arn} is not pending deletion.`)
    }
    await changeKey(store, key, ['PendingDeletion'], { state: 'Disabled', deletionAtMs: undefined })
    return { KeyId: key.arn }
  },
})
