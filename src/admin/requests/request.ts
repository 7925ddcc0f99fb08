/** What a request of the admin socket is: the shape of its body, and what answers it. */
import { z } from 'zod'

export interface AdminRequestDefinition<S extends z.ZodType = z.ZodType> {
  readonly shape: S
  /** Whether the request changes nothing, and so leaves no line in the log. */
  readonly readOnly: boolean
  readonly answer: (body: z.output<S>) => Promise<unknown>
}

/** What the operator asked for cannot be done; the message says why. */
export class RequestRefused extends Error {}

/** A request that changes something. */
export function change<S extends z.ZodType>(shape: S, answer: (body: z.output<S>) => Promise<unknown>) {
  return { shape, readOnly: false, answer } satisfies AdminRequestDefinition<S>
}

/** A request that only looks. */
export function look<S extends z.ZodType>(shape: S, answer: (body: z.output<S>) => Promise<unknown>) {
  return { shape, readOnly: true, answer } satisfies AdminRequestDefinition<S>
}

export const account = z.string().regex(/^\d{12}$/, 'must have 12 digits')
export const name = z.string().min(1).max(128)
/** A policy document as text: its bound is the socket's, its rules are the identities' own. */
export const document = z.string().min(1).max(32_768)

/** A moment for people and programs. */
export function moment(ms: number): string {
  return new Date(ms).toISOString()
}
