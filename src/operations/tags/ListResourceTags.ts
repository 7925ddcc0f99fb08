import { structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { pageOf, paginate } from '../pagination.ts'
import { keyId, limit, marker } from '../shapes.ts'

/** ListResourceTags returns the tags of a key. */
export const ListResourceTags = defineOperation({
  name: 'ListResourceTags',
  input: structure({ KeyId: keyId, Limit: limit, Marker: marker }),
  readOnly: true,
  access: (access, request, { KeyId }) =>
    access.key(request, 'ListResourceTags', KeyId, { action: 'kms:ListResourceTags' }),

  async run(key, _services, input) {
    const list = `tags/${key.arn}`
    const page = pageOf(list, input, { default: 50, max: 50 })
    const sorted = key.tags.toSorted((one, other) => inOrder(one.key, other.key))
    const read = async ({ after, limit: count }: typeof page) =>
      sorted.filter(tag => after === undefined || inOrder(tag.key, after) > 0).slice(0, count)
    const { items, next } = await paginate(list, page, read, tag => tag.key)
    return { Tags: items.map(({ key: TagKey, value: TagValue }) => ({ TagKey, TagValue })), ...next }
  },
})

/** By bytes, as the key store has them. */
function inOrder(one: string, other: string): number {
  return Buffer.compare(Buffer.from(one), Buffer.from(other))
}
