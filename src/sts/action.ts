/** What an action of STS is: its name, its parameters, and what it answers. */
import type { Origin } from '../access/request-context.ts'
import type { Clock } from '../base/clock.ts'
import type { Infer, Structure } from '../base/schema.ts'
import type { Sessions } from '../keyring/sessions.ts'
import type { Caller } from '../model/caller.ts'
import type { Reader } from '../store/store.ts'

/** What actions work with. */
export interface StsServices {
  readonly reader: Reader
  readonly sessions: Sessions
  readonly clock: Clock
}

/** A member of an answer; undefined members are left out. */
export type StsValue = string | number | undefined | { readonly [name: string]: StsValue }
export type StsOutput = { readonly [name: string]: StsValue }

export interface StsRequest extends StsServices {
  readonly caller: Caller
  readonly region: string
  readonly origin?: Origin
}

export interface StsAction {
  readonly name: string
  readonly input: Structure
  /** Throws StsError, and KmsError for what the crypto world refuses. */
  perform(request: StsRequest, input: unknown): Promise<StsOutput>
}

export function defineAction<S extends Structure>(definition: {
  readonly name: string
  readonly input: S
  run(request: StsRequest, input: Infer<S>): Promise<StsOutput>
}): StsAction {
  const { name, input, run } = definition
  return { name, input, perform: (request, parsed) => run(request, parsed as Infer<S>) }
}
