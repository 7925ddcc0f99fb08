/** The shapes that many inputs share, with the bounds of the KMS model, and the rules that go with them. */
import { REGION_NAME, REGION_NAME_MAX } from '../base/region.ts'
import {
  blob,
  boolean,
  broken,
  custom,
  integer,
  list,
  oneOf,
  optional,
  structure,
  text,
  wrongType,
} from '../base/schema.ts'
import { CONTEXT_MAX_BYTES, encryptionContextFrom } from '../model/encryption-context.ts'
import { KmsError } from '../model/errors.ts'
import { ENCRYPTION_ALGORITHMS } from '../model/key-specs.ts'

export const keyId = text({ min: 1, max: 2_048 })
export const keyMaterialId = text({ min: 64, max: 64, pattern: /^[a-f0-9]+$/ })
export const description = text({ min: 0, max: 8_192 })
export const aliasName = text({ min: 1, max: 256, pattern: /^[a-zA-Z0-9:/_-]+$/ })
/** Tab, line feed, carriage return and Latin-1, as AWS's model has it. */
export const policy = text({ min: 1, max: 131_072, pattern: /^[\u0009\u000A\u000D\u0020-\u00FF]+$/ })
export const policyName = text({ min: 1, max: 128, pattern: /^[\w]+$/ })
export const principalId = text({ min: 1, max: 256, pattern: /^[\w+=,.@:/-]+$/ })
export const grantId = text({ min: 1, max: 128 })
export const grantToken = text({ min: 1, max: 8_192 })
export const grantTokens = optional(list(grantToken, { min: 0, max: 10 }))
export const regionName = text({ min: 1, max: REGION_NAME_MAX, pattern: REGION_NAME })
export const dryRun = optional(boolean())
export const dryRunModifiers = optional(list(oneOf(['IGNORE_CIPHERTEXT']), { min: 0, max: 1 }))
export const limit = optional(integer({ min: 1, max: 1_000 }))
export const marker = optional(text({ min: 1, max: 1_024, pattern: /^[\u0020-\u00FF]*$/ }))
export const numberOfBytes = integer({ min: 1, max: 1_024 })
export const plaintext = blob({ min: 1, max: 4_096 })
export const ciphertext = blob({ min: 1, max: 6_144 })
export const encryptionAlgorithm = optional(oneOf(ENCRYPTION_ALGORITHMS))

export const tagKey = text({ min: 1, max: 128 })
export const tags = list(structure({ TagKey: tagKey, TagValue: text({ min: 0, max: 256 }) }), { min: 0, max: 200 })

/** A Map, so that a pair named `__proto__` is one like any other. */
export const encryptionContext = optional(
  custom(value => {
    const context = encryptionContextFrom(value)
    if (context === 'type') return wrongType('Expected a map of strings')
    if (context === 'surrogate') return broken('Member must be well-formed Unicode')
    if (context === 'size') return broken(`Member must have length less than or equal to ${CONTEXT_MAX_BYTES}`)
    return context
  }),
)

/** Nitro attestation: there is no such hardware to attest here. */
export const recipient = optional(
  structure({
    KeyEncryptionAlgorithm: optional(oneOf(['RSAES_OAEP_SHA_256'])),
    AttestationDocument: optional(blob({ min: 1, max: 262_144 })),
  }),
)

/** Refuses what needs parts that are not built. Throws KmsError. */
export function refuseUnsupported(input: { Recipient?: object | undefined }): void {
  if (input.Recipient !== undefined) {
    throw new KmsError('UnsupportedOperationException', 'Recipient is not supported: there is no attestation here.')
  }
}

/** Of a key that was there a moment ago. */
export function keyNotFound(arn: string): KmsError {
  return new KmsError('NotFoundException', `Key '${arn}' does not exist`)
}

/** Throws KmsError ValidationException. */
export function invalid(message: string): never {
  throw new KmsError('ValidationException', message)
}
