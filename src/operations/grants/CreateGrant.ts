import { randomBytes } from 'node:crypto'
import { list, oneOf, optional, structure, text } from '../../base/schema.ts'
import { writeGrantToken } from '../../formats/grant-token.ts'
import { GRANT_OPERATION_NAMES, type Grant } from '../../model/grant.ts'
import { requireState } from '../../model/key.ts'
import { defineOperation } from '../operation.ts'
import { dryRun, encryptionContext, grantTokens, keyId, keyNotFound, principalId } from '../shapes.ts'
import { checkGrantInput, newGrantFacts, requireGrantable, requireRoomForGrant, sameTerms } from './grant-rules.ts'

const GRANT_ID_BYTES = 32
const TOKEN_SEED_BYTES = 32

/** CreateGrant lends a key to a principal for some operations. It acts at once; the token is for daemons that lag behind. */
export const CreateGrant = defineOperation({
  name: 'CreateGrant',
  input: structure({
    KeyId: keyId,
    GranteePrincipal: optional(principalId),
    GranteeServicePrincipal: optional(principalId),
    RetiringPrincipal: optional(principalId),
    RetiringServicePrincipal: optional(principalId),
    Operations: list(oneOf(GRANT_OPERATION_NAMES), { min: 1, max: 64 }),
    Constraints: optional(
      structure({
        EncryptionContextSubset: encryptionContext,
        EncryptionContextEquals: encryptionContext,
        SourceArn: optional(text({ min: 20, max: 2_048 })),
      }),
    ),
    GrantTokens: grantTokens,
    Name: optional(text({ min: 1, max: 256, pattern: /^[a-zA-Z0-9:/_-]+$/ })),
    DryRun: dryRun,
  }),
  readOnly: false,
  check: checkGrantInput,
  access: (access, request, input) =>
    access.key(request, 'CreateGrant', input.KeyId, {
      action: 'kms:CreateGrant',
      states: ['Enabled'],
      facts: newGrantFacts(request.caller, input),
      grantTokens: input.GrantTokens,
    }),

  async run(key, { store, quotas, clock }, input, { caller }) {
    const granted = await requireGrantable(store.reader, key, input)
    const terms = { ...granted, name: input.Name ?? '', issuingAccount: caller.account }
    const grant = await store.transaction(async tx => {
      const current = await tx.findKey(key, key.id)
      if (current === undefined) throw keyNotFound(key.arn)
      requireState(current, ['Enabled'])
      const same = current.grants.find(
        held => held.name === input.Name && held.issuingAccount === caller.account && sameTerms(held, terms),
      )
      if (same !== undefined) return same
      requireRoomForGrant(current, quotas)
      const made: Grant = {
        ...terms,
        id: randomBytes(GRANT_ID_BYTES).toString('hex'),
        createdAtMs: clock(),
        tokenSeed: randomBytes(TOKEN_SEED_BYTES),
      }
      if (input.DryRun !== true) await tx.insertGrant(current, made)
      return made
    })
    return { GrantToken: writeGrantToken(grant.id, grant.tokenSeed), GrantId: grant.id }
  },
})
