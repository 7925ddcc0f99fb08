import { structure } from '../../base/schema.ts'
import { currentMaterial, isComplete } from '../../model/key.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'
import { changeKey } from './change-key.ts'

/** EnableKey lets a disabled key be used again. */
export const EnableKey = defineOperation({
  name: 'EnableKey',
  input: structure({ KeyId: keyId }),
  readOnly: false,
  access: (access, request, { KeyId }) =>
    access.key(request, 'EnableKey', KeyId, { action: 'kms:EnableKey', states: ['Enabled', 'Disabled'] }),

  async run(key, { store }) {
    // Its deletion may have been cancelled while imported material was away.
    if (!isComplete(key)) currentMaterial(key)
    await changeKey(store, key, ['Enabled', 'Disabled'], { state: 'Enabled' })
    return undefined
  },
})
