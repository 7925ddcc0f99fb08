import { optional, structure } from '../../base/schema.ts'
import { aliasArn } from '../../model/arn.ts'
import { epochSeconds } from '../keys/key-metadata.ts'
import { defineOperation } from '../operation.ts'
import { pageOf, paginate } from '../pagination.ts'
import { keyId, limit, marker } from '../shapes.ts'

/** ListAliases names the aliases of the caller's account in the region, or those of one key. */
export const ListAliases = defineOperation({
  name: 'ListAliases',
  input: structure({ KeyId: optional(keyId), Limit: limit, Marker: marker }),
  readOnly: true,
  async access(access, request, { KeyId }) {
    access.account(request, 'kms:ListAliases')
    if (KeyId === undefined) return { key: undefined }
    return { key: await access.key(request, 'ListAliases', KeyId, { action: 'kms:ListAliases' }) }
  },

  async run({ key }, { store }, input, { caller: { account }, region }) {
    const list = `aliases/${region}/${account}/${key?.id ?? ''}`
    const page = pageOf(list, input, { default: 50, max: 100 })
    const scope = { region, account }
    const { items, next } = await paginate(
      list,
      page,
      asked => store.reader.listAliases(scope, key?.id, asked),
      ({ name }) => name,
    )
    const Aliases = items.map(alias => ({
      AliasName: alias.name,
      AliasArn: aliasArn(region, account, alias.name),
      TargetKeyId: alias.keyId,
      CreationDate: epochSeconds(alias.createdAtMs),
      LastUpdatedDate: epochSeconds(alias.updatedAtMs),
    }))
    return { Aliases, ...next }
  },
})
