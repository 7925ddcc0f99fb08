import { structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { keyId } from '../shapes.ts'
import { changeKey } from './change-key.ts'

/** DisableKey forbids the use of a key until it is enabled; its material stays. */
export const DisableKey = defineOperation({
  name: 'DisableKey',
  input: structure({ KeyId: keyId }),
  readOnly: false,
  access: (access, request, { KeyId }) =>
    access.key(request, 'DisableKey', KeyId, { action: 'kms:DisableKey', states: ['Enabled', 'Disabled'] }),

  async run(key, { store }) {
    await changeKey(store, key, ['Enabled', 'Disabled'], { state: 'Disabled' })
    return undefined
  },
})
