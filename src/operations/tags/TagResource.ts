import { structure } from '../../base/schema.ts'
import { LIVE_STATES } from '../../model/key.ts'
import { defineOperation } from '../operation.ts'
import { keyId, tags } from '../shapes.ts'
import { requireTagCount, requireTags, tagFacts } from './tag-rules.ts'

/** TagResource adds tags to a key; a tag whose key is there already gets the new value. */
export const TagResource = defineOperation({
  name: 'TagResource',
  input: structure({ KeyId: keyId, Tags: tags }),
  readOnly: false,
  access: (access, request, { KeyId, Tags }) =>
    access.key(request, 'TagResource', KeyId, {
      action: 'kms:TagResource',
      states: LIVE_STATES,
      facts: tagFacts(Tags),
    }),

  async run(key, { store, quotas }, input) {
    const added = requireTags(input.Tags, quotas)
    await store.transaction(async tx => {
      const held = await tx.listTags(key, key.id, { after: undefined, limit: quotas.tagsPerKey })
      requireTagCount(new Set([...held, ...added].map(tag => tag.key)).size, quotas)
      await tx.putTags(key, added)
    })
    return undefined
  },
})
