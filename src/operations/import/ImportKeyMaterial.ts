import { blob, oneOf, optional, structure, text, timestamp } from '../../base/schema.ts'
import { type ImportedMaterial, sameMaterial } from '../../keyring/imports.ts'
import { awaitInStep } from '../../keyring/related-keys.ts'
import { KmsError } from '../../model/errors.ts'
import { EXPIRATION_MODELS, IMPORT_TYPES, type ImportType } from '../../model/imports.ts'
import { type Ekt, isComplete, type KeyMaterial, type KmsKey, LIVE_STATES, requireState } from '../../model/key.ts'
import { requireNoReplica } from '../../model/multi-region.ts'
import type { Store } from '../../store/store.ts'
import { defineOperation } from '../operation.ts'
import { requireOrigin } from '../origin.ts'
import { invalid, keyId, keyMaterialId } from '../shapes.ts'
import { expiryOf } from './import-rules.ts'

/** What an import says of the material beside its bytes. */
interface Terms {
  readonly type: ImportType | undefined
  readonly materialId: string | undefined
  readonly description: string | undefined
  readonly expiresAtMs: number | undefined
}

/**
 * ImportKeyMaterial has a token unwrap the caller's material into an EKT, and records it: as the current material of a key
 * that has none, as the same material again, or as one that RotateKeyOnDemand makes current.
 */
export const ImportKeyMaterial = defineOperation({
  name: 'ImportKeyMaterial',
  input: structure({
    KeyId: keyId,
    ImportToken: blob({ min: 1, max: 6_144 }),
    EncryptedKeyMaterial: blob({ min: 1, max: 6_144 }),
    ValidTo: optional(timestamp()),
    ExpirationModel: optional(oneOf(EXPIRATION_MODELS)),
    ImportType: optional(oneOf(IMPORT_TYPES)),
    KeyMaterialDescription: optional(text({ min: 0, max: 256, pattern: /^[a-zA-Z0-9:/_\s.-]+$/ })),
    KeyMaterialId: optional(keyMaterialId),
  }),
  readOnly: false,
  check({ ImportType, KeyMaterialId }) {
    if (ImportType === 'NEW_KEY_MATERIAL' && KeyMaterialId !== undefined)
      invalid('KeyMaterialId is not allowed when ImportType is NEW_KEY_MATERIAL.')
  },
  access: (access, request, { KeyId, ExpirationModel, ValidTo }) =>
    access.key(request, 'ImportKeyMaterial', KeyId, {
      action: 'kms:ImportKeyMaterial',
      facts: { keys: { 'kms:ExpirationModel': ExpirationModel, 'kms:ValidTo': ValidTo } },
    }),

  async run(key, { imports, store, clock }, input) {
    requireOrigin(key, 'EXTERNAL')
    requireState(key, LIVE_STATES)
    const { ImportType: type, KeyMaterialId: materialId, KeyMaterialDescription: description } = input
    const symmetric = key.spec === 'SYMMETRIC_DEFAULT'
    if (!symmetric && (type ?? materialId ?? description) !== undefined) {
      invalid('ImportType, KeyMaterialId and KeyMaterialDescription are for symmetric encryption keys only.')
    }
    const terms = { type, materialId, description, expiresAtMs: expiryOf(clock(), input) }
    const imported = await imports.take(key, input.ImportToken, input.EncryptedKeyMaterial)
    const replaced = await record(store, key, imported, terms, clock()).catch(async error => {
      await imports.discard(key, imported)
      throw error
    })
    // What was recorded is the key's, whatever comes of this.
    if (replaced !== undefined) await imports.evict(key, replaced)
    return { KeyId: key.arn, KeyMaterialId: symmetric ? imported.id : undefined }
  },
})

/**
 * One transaction, over the key as it is then: of two imports at once only one is the first. Resolves with the EKT that the
 * same material had before.
 */
function record(
  store: Store,
  key: KmsKey,
  imported: ImportedMaterial,
  terms: Terms,
  nowMs: number,
): Promise<Ekt | undefined> {
  return store.transaction(async tx => {
    const current = await tx.findKey(key, key.id)
    if (current === undefined) throw new KmsError('NotFoundException', `Key '${key.arn}' does not exist`)
    requireState(current, LIVE_STATES)
    const known = sameMaterial(current, imported)
    requireExpected(current, imported, known, terms)
    const state = current.current === undefined ? 'CURRENT' : 'PENDING_ROTATION'
    const { description = known?.description, expiresAtMs } = terms
    const material: KeyMaterial = { state, createdAtMs: nowMs, ...known, ...imported, description, expiresAtMs }
    // The id of a MAC key's material is drawn anew with each import.
    const other = known !== undefined && known.id !== material.id ? known : undefined
    const before = other === undefined ? current : { ...current, generation: current.generation + 1 }
    if (other !== undefined) await tx.deleteMaterial(before, other.id)
    await tx.putMaterial(withMaterial(before, material, other), material)
    if (known === undefined && state === 'PENDING_ROTATION') await awaitInStep(tx, before, material)
    return known?.ekt
  })
}

/** A key that waited for material is enabled when all that it has worked with is there. */
function withMaterial(key: KmsKey, material: KeyMaterial, replaced: KeyMaterial | undefined): KmsKey {
  const materials = new Map(key.materials)
  if (replaced !== undefined) materials.delete(replaced.id)
  materials.set(material.id, material)
  const current = material.state === 'CURRENT' ? material : key.current
  const changed = { ...key, materials, current, generation: key.generation + 1 }
  return key.state === 'PendingImport' && isComplete(changed) ? { ...changed, state: 'Enabled' } : changed
}

/** Throws KmsError: IncorrectKeyMaterialException when the bytes are not what the caller says or the key waits for. */
function requireExpected(
  key: KmsKey,
  { id }: ImportedMaterial,
  known: KeyMaterial | undefined,
  { type, materialId }: Terms,
): void {
  const isNew =
    (type ?? (key.materials.size === 0 ? 'NEW_KEY_MATERIAL' : 'EXISTING_KEY_MATERIAL')) === 'NEW_KEY_MATERIAL'
  const refuse = (message: string): never => {
    throw new KmsError('IncorrectKeyMaterialException', message)
  }
  if (materialId !== undefined && materialId !== id) refuse('The key material is not the one that KeyMaterialId names.')
  if (!isNew && known === undefined) refuse(`The key material was never imported into ${key.arn}.`)
  if (!isNew) return
  requireNoReplica(key)
  if (known !== undefined) refuse(`The key material is associated with ${key.arn} already.`)
  const pending = [...key.materials.values()].some(({ state }) => state === 'PENDING_ROTATION')
  if (!pending) return
  throw new KmsError(
    'KMSInvalidStateException',
    `${key.arn} has key material that is pending rotation: rotate the key, or delete that material, first.`,
  )
}
