import { structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { aliasName } from '../shapes.ts'
import { requireAliasName } from './alias-rules.ts'

/** DeleteAlias takes a name away; the key stays. */
export const DeleteAlias = defineOperation({
  name: 'DeleteAlias',
  input: structure({ AliasName: aliasName }),
  readOnly: false,
  check: ({ AliasName }) => requireAliasName(AliasName),
  async access(access, request, { AliasName }) {
    const alias = await access.alias(request, 'kms:DeleteAlias', AliasName)
    await access.key(request, 'DeleteAlias', alias.keyId, { action: 'kms:DeleteAlias' })
    return { alias }
  },

  async run({ alias }, { store }) {
    await store.transaction(tx => tx.deleteAlias(alias))
    return undefined
  },
})
