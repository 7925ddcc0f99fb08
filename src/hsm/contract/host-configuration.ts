/** What a host is told at its start, and what it tells of itself without being asked. */
import { z } from 'zod'
import { DOMAIN_ID_BYTES } from '../../formats/ekt.ts'
import { FAULT_KINDS } from './fault.ts'
import { TRACE_CONTEXT_BYTES } from './frames.ts'
import { profilePins, schemes, tokenProfile } from './token-profile.ts'

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))

/** Where a token is: an RFC 7512 URI, and what its module wants: an environment before it is loaded, a string of parameters. */
export const tokenLocation = z.object({
  uri: z.string().max(2_048),
  environment: z.record(z.string(), z.string()),
  libraryParameters: z.string().max(2_048).optional(),
  profile: profilePins.optional(),
})
export type TokenLocation = z.infer<typeof tokenLocation>

/** One version of a domain key or domain MAC key. `forkId` tells two keys of one number apart. */
export const keyVersion = z.strictObject({
  version: z.int().positive(),
  forkId: hex(16),
  /** The key check value: 64 bits. */
  checkValue: hex(8),
})
export type KeyVersion = z.infer<typeof keyVersion>

/**
 * A domain whose keys the token holds. New EKTs are made under the newest version of each list. Without domain keys the
 * tokens cannot wrap, and HBKs reside in them.
 */
export const domainDescription = z.strictObject({
  id: hex(DOMAIN_ID_BYTES),
  /** Whose it is; MULTI_REGION_DOMAIN of the one that regions share. */
  region: z.string().max(64),
  schemes,
  domainKeys: z.array(keyVersion),
  macKeys: z.array(keyVersion).min(1),
})
export type DomainDescription = z.infer<typeof domainDescription>

export const hostConfiguration = z.strictObject({
  token: tokenLocation,
  domain: domainDescription,
  /** The domain that the regions share, once the token holds it. */
  multiRegionDomain: domainDescription.optional(),
  /** HBK handles kept in the token; the oldest is let go first. */
  cachedHbks: z.int().positive(),
  /** After this long an EKT is verified and unwrapped again. */
  hbkLifetimeMs: z.int().positive(),
  /** Whether imported material may pass through the host, where the token does not unwrap by the algorithm. */
  importInHost: z.boolean().default(true),
  /** Threads that serve commands, each with a channel and sessions of its own. */
  threads: z.int().min(1).max(64).default(1),
  /** Sessions that the hosts of the token may hold open, 0 for as many as it allows, and how many hosts share them. */
  sessions: z
    .strictObject({ limit: z.int().nonnegative(), shares: z.int().positive() })
    .default({ limit: 0, shares: 1 }),
  /** Whether the host may use the PIN again when its login is lost. One process of a token at a time does. */
  logsInAgain: z.boolean().default(false),
})
/** As the pool gives it; what it leaves out has the defaults of the schema. */
export type HostConfiguration = z.input<typeof hostConfiguration>
/** The domains that a host is told of. */
export type DescribedDomains = Pick<HostConfiguration, 'domain' | 'multiRegionDomain'>
export type CompleteHostConfiguration = z.output<typeof hostConfiguration>

export const hostEvent = z.discriminatedUnion('type', [
  /** `lanes` is how many of its channels the host serves: fewer than asked for when the token's sessions do not suffice. */
  z.strictObject({ type: z.literal('ready'), profile: tokenProfile, lanes: z.int().positive() }),
  /**
   * The host cannot open its token. It waits for another configuration to try again with, unless `retry` is false: trying
   * again does harm, as with a rejected PIN, and the host ends.
   */
  z.strictObject({ type: z.literal('failed'), kind: z.enum(FAULT_KINDS), reason: z.string(), retry: z.boolean() }),
  /** A command that was traced is done. `context` is what came with it. */
  z.strictObject({
    type: z.literal('span'),
    context: hex(TRACE_CONTEXT_BYTES),
    command: z.string().max(64),
    startedAtMs: z.number(),
    durationMs: z.number().nonnegative(),
    outcome: z.enum(['ok', 'need-record', ...FAULT_KINDS]),
  }),
])
export type HostEvent = z.infer<typeof hostEvent>
