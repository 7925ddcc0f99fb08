import { structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { pageOf, paginate } from '../pagination.ts'
import { keyId, limit, marker } from '../shapes.ts'

/** ListResourceTags returns the tags of a key. */
export const ListResourceTags = defineOperation({
  name: 'ListResourceTags',
  input: structure({ KeyId: keyId, Limit: limit, Marker: marker }),
  readOnly: true,
  access: async (access, request, { KeyId }) => ({
    key: await access.key(request, 'ListResourceTags', KeyId, { action: 'kms:ListResourceTags' }),
  }),

  async run({ key, input, store }) {
    const list = `tags/${key.arn}`
    const page = pageOf(list, input, { default: 50, max: 50 })
    const read = (asked: typeof page) => store.reader.listTags(key, key.id, asked)
    const { items, next } = await paginate(list, page, read, tag => tag.key)
    return { Tags: items.map(({ key: TagKey, value: TagValue }) => ({ TagKey, TagValue })), ...next }
  },
})
