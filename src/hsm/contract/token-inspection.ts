/** What a token says of itself and what self-tests said of it; a count of 0 is one that the token does not tell. */
import { z } from 'zod'
import { selfTest, tokenIdentity, tokenProfile } from './token-profile.ts'

const count = z.int().nonnegative()

const listedMechanism = z.strictObject({
  number: count,
  /** As PKCS#11 or the vendor spells it; empty where it is not known here. */
  name: z.string(),
  rights: z.array(z.string()),
  minKeySize: count,
  maxKeySize: count,
})
export type ListedMechanism = z.infer<typeof listedMechanism>

export const tokenInspection = z.strictObject({
  token: tokenIdentity,
  vendor: z.string(),
  hardwareVersion: z.string(),
  firmwareVersion: z.string(),
  library: z.strictObject({
    path: z.string(),
    manufacturer: z.string(),
    description: z.string(),
    version: z.string(),
    cryptokiVersion: z.string(),
  }),
  limits: z.strictObject({
    maxSessions: count,
    maxReadWriteSessions: count,
    minPinBytes: count,
    maxPinBytes: count,
    freePublicMemoryBytes: count,
    freePrivateMemoryBytes: count,
  }),
  mechanisms: z.array(listedMechanism),
  /** What an operator of this vendor's tokens should know. */
  notes: z.array(z.string()),
  /** Null where no self-test could be made; `problem` says why. */
  profile: tokenProfile.nullable(),
  tests: z.array(selfTest),
  problem: z.string(),
})
export type TokenInspection = z.infer<typeof tokenInspection>
