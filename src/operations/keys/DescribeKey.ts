import { structure } from '../../base/schema.ts'
import { defineOperation } from '../operation.ts'
import { grantTokens, keyId } from '../shapes.ts'
import { keyMetadata } from './key-metadata.ts'

/** DescribeKey tells what a key is and in which state: no aliases, tags or policy. */
export const DescribeKey = defineOperation({
  name: 'DescribeKey',
  input: structure({ KeyId: keyId, GrantTokens: grantTokens }),
  readOnly: true,
  access: (access, request, { KeyId, GrantTokens }) =>
    access.key(request, 'DescribeKey', KeyId, {
      action: 'kms:DescribeKey',
      names: 'ids-and-aliases',
      grantTokens: GrantTokens,
    }),

  async run(key, { store }) {
    const regions = key.primaryRegion === undefined ? [] : await store.reader.listRegionsOfKey(key.account, key.id)
    return { KeyMetadata: keyMetadata(key, regions) }
  },
})
