import type { RequestFacts } from '../../access/request-context.ts'
import { optional, structure } from '../../base/schema.ts'
import { isOaep } from '../../model/algorithms.ts'
import { EMPTY_CONTEXT } from '../../model/encryption-context.ts'
import type { KeyRequirement } from '../access.ts'
import { defineOperation } from '../operation.ts'
import {
  ciphertext,
  dryRun,
  dryRunModifiers,
  encryptionAlgorithm,
  encryptionContext,
  grantTokens,
  keyId,
} from '../shapes.ts'
import { checkCiphertextInput, ciphertextOf } from './ciphertext-input.ts'
import { decryptionAlgorithmOf, encryptionAlgorithmOf, encryptionFacts, refuseContext } from './encryption-algorithm.ts'

const needed = (action: string, facts: RequestFacts, grantTokens: KeyRequirement['grantTokens']): KeyRequirement => ({
  action,
  facts,
  grantTokens,
  names: 'ids-and-aliases',
  states: ['Enabled'],
  usage: 'ENCRYPT_DECRYPT',
})

/** ReEncrypt moves a ciphertext to another key or encryption context. Its plaintext stays inside the HSM host. */
export const ReEncrypt = defineOperation({
  name: 'ReEncrypt',
  input: structure({
    CiphertextBlob: optional(ciphertext),
    SourceKeyId: optional(keyId),
    SourceEncryptionContext: encryptionContext,
    SourceEncryptionAlgorithm: encryptionAlgorithm,
    DestinationKeyId: keyId,
    DestinationEncryptionContext: encryptionContext,
    DestinationEncryptionAlgorithm: encryptionAlgorithm,
    GrantTokens: grantTokens,
    DryRun: dryRun,
    DryRunModifiers: dryRunModifiers,
  }),
  readOnly: true,
  check: input => checkCiphertextInput(input, input.SourceKeyId, 'sourceKeyId'),
  async access(access, request, input) {
    const { SourceKeyId, DestinationKeyId } = input
    const blob = ciphertextOf(input)
    // What is encrypted with a public key has no header that names it.
    const headed = isOaep(input.SourceEncryptionAlgorithm ?? '') ? undefined : blob
    const onSameKey = await access.isKeyOf(request, DestinationKeyId, headed ?? SourceKeyId ?? '')
    const factsOf = (...input: Parameters<typeof encryptionFacts>): RequestFacts => {
      const { keys, ...facts } = encryptionFacts(...input)
      return { ...facts, keys: { ...keys, 'kms:ReEncryptOnSameKey': onSameKey } }
    }
    const from = needed(
      'kms:ReEncryptFrom',
      factsOf(input.SourceEncryptionContext, input.SourceEncryptionAlgorithm),
      input.GrantTokens,
    )
    const to = needed(
      'kms:ReEncryptTo',
      factsOf(input.DestinationEncryptionContext, input.DestinationEncryptionAlgorithm),
      input.GrantTokens,
    )
    const source =
      blob === undefined
        ? await access.key(request, 'ReEncrypt', SourceKeyId ?? '', from)
        : await access.keyOfCiphertext(request, 'ReEncrypt', blob, SourceKeyId, from)
    const destination = await access.key(request, 'ReEncrypt', DestinationKeyId, to)
    return { source, destination, blob }
  },
  uses: ({ source, destination }) => [source, destination],

  async run({ source, destination, blob }, { keyring }, input) {
    const sourceAlgorithm = decryptionAlgorithmOf(source, input.SourceEncryptionAlgorithm, blob)
    const destinationAlgorithm = encryptionAlgorithmOf(destination, input.DestinationEncryptionAlgorithm)
    if (blob === undefined) return undefined
    const sourceContext = input.SourceEncryptionContext ?? EMPTY_CONTEXT
    const destinationContext = input.DestinationEncryptionContext ?? EMPTY_CONTEXT
    if (isOaep(sourceAlgorithm)) refuseContext(input.SourceEncryptionContext)
    if (isOaep(destinationAlgorithm)) refuseContext(input.DestinationEncryptionContext)
    const from = { key: source, algorithm: sourceAlgorithm, blob, context: sourceContext }
    const to = { key: destination, algorithm: destinationAlgorithm, context: destinationContext }
    const rsa = isOaep(sourceAlgorithm) || isOaep(destinationAlgorithm)
    const {
      blob: moved,
      sourceMaterial,
      destinationMaterial,
    } = await (rsa ? keyring.reEncryptRsa(from, to) : keyring.reEncrypt(from, to))
    return {
      CiphertextBlob: moved,
      SourceKeyId: source.arn,
      KeyId: destination.arn,
      SourceEncryptionAlgorithm: sourceAlgorithm,
      DestinationEncryptionAlgorithm: destinationAlgorithm,
      SourceKeyMaterialId: isOaep(sourceAlgorithm) ? undefined : sourceMaterial.id,
      DestinationKeyMaterialId: isOaep(destinationAlgorithm) ? undefined : destinationMaterial.id,
    }
  },
})
