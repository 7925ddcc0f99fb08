import { optional, structure } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { defineOperation } from '../operation.ts'
import { requireOrigin } from '../origin.ts'
import { keyId, keyMaterialId } from '../shapes.ts'

/**
 * DeleteImportedKeyMaterial takes material away, the current one unless another is named. The key is pending import until
 * the same bytes have been imported again.
 */
export const DeleteImportedKeyMaterial = defineOperation({
  name: 'DeleteImportedKeyMaterial',
  input: structure({ KeyId: keyId, KeyMaterialId: optional(keyMaterialId) }),
  readOnly: false,
  access: (access, request, { KeyId }) =>
    access.key(request, 'DeleteImportedKeyMaterial', KeyId, { action: 'kms:DeleteImportedKeyMaterial' }),

  async run(key, { imports }, input) {
    requireOrigin(key, 'EXTERNAL')
    const named = input.KeyMaterialId
    const material = named === undefined ? key.current : key.materials.get(named)
    if (named !== undefined && material === undefined) {
      throw new KmsError('NotFoundException', `Key material '${named}' does not exist in ${key.arn}`)
    }
    if (material !== undefined) await imports.remove(key, ({ id }) => id === material.id)
    return { KeyId: key.arn, KeyMaterialId: key.spec === 'SYMMETRIC_DEFAULT' ? material?.id : undefined }
  },
})
