import { optional, structure, text } from '../../base/schema.ts'
import { KmsError } from '../../model/errors.ts'
import { defineOperation } from '../operation.ts'
import { invalid, numberOfBytes, recipient, refuseUnsupported } from '../shapes.ts'

/** GenerateRandom returns bytes of the token's random generator. */
export const GenerateRandom = defineOperation({
  name: 'GenerateRandom',
  input: structure({
    NumberOfBytes: optional(numberOfBytes),
    CustomKeyStoreId: optional(text({ min: 1, max: 64 })),
    Recipient: recipient,
  }),
  readOnly: true,
  check(input) {
    if (input.NumberOfBytes === undefined) invalid('NumberOfBytes is required.')
    refuseUnsupported(input)
    if (input.CustomKeyStoreId !== undefined) {
      throw new KmsError('UnsupportedOperationException', 'Custom key stores are not supported.')
    }
  },
  async access(access, request) {
    access.account(request, 'kms:GenerateRandom')
    return {}
  },

  async run(_targets, { keyring }, input, { region }) {
    return { Plaintext: await keyring.generateRandom(region, input.NumberOfBytes ?? 0) }
  },
})
