import { oneOf, optional, structure } from '../../base/schema.ts'
import type { KeyMaterial, KmsKey } from '../../model/key.ts'
import { epochSeconds } from '../keys/key-metadata.ts'
import { defineOperation } from '../operation.ts'
import { pageOf, paginate } from '../pagination.ts'
import { keyId, limit, marker } from '../shapes.ts'
import { requireRotatable } from './rotation-rules.ts'

/** ListKeyRotations tells which materials a key has had, the first one only when all material is asked for. */
export const ListKeyRotations = defineOperation({
  name: 'ListKeyRotations',
  input: structure({
    KeyId: keyId,
    IncludeKeyMaterial: optional(oneOf(['ROTATIONS_ONLY', 'ALL_KEY_MATERIAL'])),
    Limit: limit,
    Marker: marker,
  }),
  readOnly: true,
  access: async (access, request, { KeyId }) => ({
    key: await access.key(request, 'ListKeyRotations', KeyId, { action: 'kms:ListKeyRotations' }),
  }),

  async run({ key, input }) {
    requireRotatable(key)
    const all = input.IncludeKeyMaterial === 'ALL_KEY_MATERIAL'
    const materials = [...key.materials.values()].filter(({ rotationType }) => all || rotationType !== undefined)
    const list = `rotations/${key.arn}/${all ? 'all' : 'rotated'}`
    const { items, next } = await paginate(
      list,
      pageOf(list, input, { default: 100, max: 1_000 }),
      async ({ after, limit: count }) => {
        const start = after === undefined ? 0 : materials.findIndex(({ id }) => id === after) + 1
        return materials.slice(start, start + count)
      },
      ({ id }) => id,
    )
    return { Rotations: items.map(material => entryOf(key, material)), ...next }
  },
})

function entryOf({ arn, origin }: KmsKey, material: KeyMaterial): Record<string, unknown> {
  const { id, state, rotationType, rotatedAtMs, createdAtMs } = material
  return {
    KeyId: arn,
    KeyMaterialId: id,
    KeyMaterialState: state,
    RotationDate: rotationType === undefined ? undefined : epochSeconds(rotatedAtMs ?? createdAtMs),
    RotationType: rotationType,
    ...(origin === 'EXTERNAL' ? importOf(material) : {}),
  }
}

function importOf({ ekt, description, expiresAtMs }: KeyMaterial): Record<string, unknown> {
  const facts = { KeyMaterialDescription: description, ImportState: ekt === undefined ? 'PENDING_IMPORT' : 'IMPORTED' }
  if (ekt === undefined) return facts
  if (expiresAtMs === undefined) return { ...facts, ExpirationModel: 'KEY_MATERIAL_DOES_NOT_EXPIRE' }
  return { ...facts, ExpirationModel: 'KEY_MATERIAL_EXPIRES', ValidTo: epochSeconds(expiresAtMs) }
}
