import { structure } from '../../base/schema.ts'
import { keyArn } from '../../model/arn.ts'
import { defineOperation } from '../operation.ts'
import { pageOf, paginate } from '../pagination.ts'
import { limit, marker } from '../shapes.ts'

/** ListKeys names every key of the caller's account in the region, by ascending id. */
export const ListKeys = defineOperation({
  name: 'ListKeys',
  input: structure({ Limit: limit, Marker: marker }),
  readOnly: true,
  async access(access, request) {
    access.account(request, 'kms:ListKeys')
    return {}
  },

  async run(_targets, { store }, input, { caller: { account }, region }) {
    const list = `keys/${region}/${account}`
    const page = pageOf(list, input, { default: 100, max: 1_000 })
    const scope = { region, account }
    const { items, next } = await paginate(
      list,
      page,
      asked => store.reader.listKeyIds(scope, asked),
      id => id,
    )
    return { Keys: items.map(id => ({ KeyId: id, KeyArn: keyArn(region, account, id) })), ...next }
  },
})
