/**
 * What an operation is: its name, its input, whom it lets in, and what it does. It declares; api/pipeline.ts
 * enforces. `run` gets a key only through `access`, so an operation cannot forget to authorise.
 */
import type { Asker } from '../access/request-context.ts'
import type { Clock } from '../base/clock.ts'
import type { Infer, Structure } from '../base/schema.ts'
import type { ResourceQuotas } from '../config/schema.ts'
import type { Imports } from '../keyring/imports.ts'
import type { KeyUses } from '../keyring/key-uses.ts'
import type { Keyring } from '../keyring/keyring.ts'
import { KmsError } from '../model/errors.ts'
import type { KmsKey } from '../model/key.ts'
import type { UsingOperation, UsingRequest } from '../model/key-use.ts'
import type { OperationName } from '../model/operations.ts'
import { ChangedMeanwhile } from '../store/faults.ts'
import type { Store } from '../store/store.ts'
import type { Access } from './access.ts'

/** What operations work with. */
export interface Services {
  readonly store: Store
  readonly keyring: Keyring
  readonly imports: Imports
  readonly keyUses: KeyUses
  readonly access: Access
  readonly quotas: ResourceQuotas
  readonly clock: Clock
}

/** Who asks, in which request. */
export interface Request extends Asker, Required<UsingRequest> {}

/** The members of an answer; undefined for operations that AWS gives no output. */
export type Output = Readonly<Record<string, unknown>> | undefined

interface Definition<S extends Structure, T extends object> {
  readonly input: S
  /** Whether the operation changes nothing: decides the log level, and the readOnly of its event. */
  readonly readOnly: boolean
  /** What the input's shape cannot say. Throws KmsError ValidationException. */
  readonly check?: (input: Infer<S>) => void
  /** Resolves and authorises what the input names, in that order; its state and usage after that. */
  readonly access: (access: Access, request: Asker, input: Infer<S>) => T | Promise<T>
  /** Does it to what {@link access} has let in. */
  run(targets: T, services: Services, input: Infer<S>, request: Request): Promise<Output>
}

/** Cryptographic operations say which keys they use, and no others do (GetKeyLastUsage). */
export type OperationDefinition<S extends Structure, T extends object> = Definition<S, T> &
  (
    | { readonly name: UsingOperation; readonly uses: (targets: T) => readonly KmsKey[] }
    | { readonly name: Exclude<OperationName, UsingOperation>; readonly uses?: never }
  )

/** An operation whose types the registry need not know. */
export interface Operation {
  readonly name: OperationName
  readonly input: Structure
  readonly readOnly: boolean
  /** Checks, authorises and runs, and notes which keys were used. Throws KmsError, or rejects with it. */
  perform(services: Services, request: Request, input: unknown): Promise<Output>
}

const ATTEMPTS_MAX = 3

/**
 * Of two changes at once the later one is decided again, upon what the other has left: of two DeleteAlias, the second finds
 * no alias. Throws KmsError ConflictException when others come first again and again.
 */
async function decidingAgain<T>(attempt: () => Promise<T>): Promise<T> {
  for (let attempts = 1; ; attempts += 1) {
    try {
      return await attempt()
    } catch (error) {
      if (!(error instanceof ChangedMeanwhile)) throw error
      if (attempts < ATTEMPTS_MAX) continue
      throw new KmsError('ConflictException', 'The resource was changed meanwhile. Try again.', { cause: error })
    }
  }
}

export function defineOperation<S extends Structure, T extends object>(
  definition: OperationDefinition<S, T>,
): Operation {
  return {
    name: definition.name,
    input: definition.input,
    readOnly: definition.readOnly,
    perform(services, request, parsed) {
      const input = parsed as Infer<S>
      definition.check?.(input)
      if (definition.readOnly) return attempt(definition, services, request, input)
      return decidingAgain(() => attempt(definition, services, request, input))
    },
  }
}

/** What is in memory costs no promise: on the hot path only `run` waits, for the token. */
function attempt<S extends Structure, T extends object>(
  definition: OperationDefinition<S, T>,
  services: Services,
  request: Request,
  input: Infer<S>,
): Promise<Output> {
  const targets = definition.access(services.access, request, input)
  if (targets instanceof Promise) return targets.then(found => runOn(found, definition, services, request, input))
  return runOn(targets, definition, services, request, input)
}

function runOn<S extends Structure, T extends object>(
  targets: T,
  definition: OperationDefinition<S, T>,
  services: Services,
  request: Request,
  input: Infer<S>,
): Promise<Output> {
  const running = definition.run(targets, services, input, request)
  const { name, uses } = definition
  if (uses === undefined || isDryRun(input)) return running
  return running.then(output => {
    const { keyUses, clock } = services
    for (const key of uses(targets)) keyUses.note(key, name, clock(), request)
    return output
  })
}

function isDryRun(input: object): boolean {
  return 'DryRun' in input && input.DryRun === true
}
