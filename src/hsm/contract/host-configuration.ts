/** What a host is told at its start, and what it tells of itself without being asked. */
import { z } from 'zod'
import { DOMAIN_ID_BYTES } from '../../formats/ekt.ts'
import { FAULT_KINDS } from './fault.ts'

const hex = (bytes: number) => z.string().regex(new RegExp(`^[0-9a-f]{${bytes * 2}}$`))

/** Where a token is: an RFC 7512 URI, and the environment its module wants to see before it is loaded. */
export const tokenLocation = z.strictObject({
  uri: z.string().max(2_048),
  environment: z.record(z.string(), z.string()),
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
 * The domain whose keys the token holds. New EKTs are made under the newest version of each list. Without domain keys the
 * tokens cannot wrap, and HBKs reside in them.
 */
export const domainDescription = z.strictObject({
  id: hex(DOMAIN_ID_BYTES),
  region: z.string().max(64),
  domainKeys: z.array(keyVersion),
  macKeys: z.array(keyVersion).min(1),
})
export type DomainDescription = z.infer<typeof domainDescription>

export const hostConfiguration = z.strictObject({
  token: tokenLocation,
  domain: domainDescription,
  /** HBK handles kept in the token; the oldest is let go first. */
  cachedHbks: z.int().positive(),
  /** After this long an EKT is verified and unwrapped again. */
  hbkLifetimeMs: z.int().positive(),
})
export type HostConfiguration = z.infer<typeof hostConfiguration>

/** What a token can do, in the names of the standards; worked out once, at the host's start. */
export const tokenProfile = z.strictObject({
  label: z.string(),
  serial: z.string(),
  manufacturer: z.string(),
  model: z.string(),
  wrapScheme: z.enum(['RFC5649', 'RFC3394', 'resident']),
  kdf: z.enum(['AES-CBC-DATA', 'SP800-108-HMAC-SHA256']),
  /** Where AES-256-GCM runs. */
  gcm: z.enum(['token', 'host']),
})
export type TokenProfile = z.infer<typeof tokenProfile>

export const hostEvent = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('ready'), profile: tokenProfile }),
  /** The host cannot serve and ends. `retry` is false where trying again does harm, as with a rejected PIN. */
  z.strictObject({ type: z.literal('failed'), kind: z.enum(FAULT_KINDS), reason: z.string(), retry: z.boolean() }),
])
export type HostEvent = z.infer<typeof hostEvent>
