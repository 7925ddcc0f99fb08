import { oneOf, optional, structure } from '../../base/schema.ts'
import { relatedKeys } from '../../keyring/related-keys.ts'
import type { KeyMaterial, KmsKey } from '../../model/key.ts'
import type { Reader } from '../../store/store.ts'
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
  access: (access, request, { KeyId }) =>
    access.key(request, 'ListKeyRotations', KeyId, { action: 'kms:ListKeyRotations' }),

  async run(key, { store }, input) {
    requireRotatable(key)
    const awaited = await awaitedElsewhere(store.reader, key)
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
    const Rotations = items.map(material => ({ KeyId: input.KeyId, ...entryOf(key, material, awaited) }))
    return { Rotations, ...next }
  },
})

/** Ids of pending material that another region of the key has not imported yet. */
async function awaitedElsewhere(reader: Reader, key: KmsKey): Promise<ReadonlySet<string>> {
  if (key.origin !== 'EXTERNAL') return new Set()
  const pending = [...key.materials.values()].filter(({ state }) => state === 'PENDING_ROTATION')
  if (pending.length === 0) return new Set()
  const keys = [key, ...(await relatedKeys(reader, key))]
  const lacking = (id: string) => keys.some(({ materials }) => materials.get(id)?.ekt === undefined)
  return new Set(pending.map(({ id }) => id).filter(lacking))
}

function entryOf({ origin }: KmsKey, material: KeyMaterial, awaited: ReadonlySet<string>): Record<string, unknown> {
  const { id, state, rotationType, rotatedAtMs, createdAtMs } = material
  return {
    KeyMaterialId: id,
    KeyMaterialState: awaited.has(id) ? 'PENDING_MULTI_REGION_IMPORT_AND_ROTATION' : state,
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
