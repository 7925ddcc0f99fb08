import { structure } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { DYING_STATES } from '../../model/key.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'
import { changeKey } from './change-key.ts'

/** CancelKeyDeletion takes a key back from deletion. It is disabled then, until somebody enables it. */
export const CancelKeyDeletion = defineOperation({
  name: 'CancelKeyDeletion',
  input: structure({ KeyId: keyId }),
  readOnly: false,
  access: (access, request, { KeyId }) =>
    access.key(request, 'CancelKeyDeletion', KeyId, { action: 'kms:CancelKeyDeletion' }),

  async run(key, { store }) {
    if (!DYING_STATES.some(state => state === key.state)) {
      throw new KmsError('KMSInvalidStateException', `${key.arn} is not pending deletion.`)
    }
    const live = { state: 'Disabled', deletionAtMs: undefined, deletionWindowDays: undefined } as const
    await changeKey(store, key, DYING_STATES, live)
    return { KeyId: key.arn }
  },
})
