/**
 * What a request to KMS goes through between the two ends of its road (road.ts). Operations declare what they need; this file
 * alone enforces it.
 *
 *   operation   X-Amz-Target -> operation                              UnknownOperation, UnsupportedOperation
 *   input       JSON -> typed values within the model's constraints    Serialization, Validation
 *   throttle    the rates of account and principal                     Throttling
 *   perform     check -> resolve -> authorise -> state and usage -> run
 *   dry run     everything above was real; the result is dropped       DryRunOperation
 */
import { KmsError } from '../model/errors.ts'
import { isOperationName } from '../model/operations.ts'
import type { Operation, Output, Services } from '../operations/operation.ts'
import { registry } from '../operations/registry.ts'
import type { Authenticated } from './authenticate.ts'
import type { Journey } from './journey.ts'
import { wipePlaintext } from './plaintext.ts'
import { encodeError, encodeOutput, kmsErrorOf, operationOf, readInput, responseHeaders } from './protocol.ts'
import { rateNameOf } from './rate-names.ts'
import type { RequestRecord } from './record.ts'
import type { Pipeline } from './road.ts'
import type { Throttling } from './throttle.ts'

type Input = Readonly<Record<string, unknown>>

export interface KmsPipelineParts {
  readonly throttle: Throttling
  readonly services: Services
  readonly record: RequestRecord
}

export class KmsPipeline implements Pipeline<Output, KmsError> {
  readonly #parts: KmsPipelineParts

  constructor(parts: KmsPipelineParts) {
    this.#parts = parts
  }

  perform(journey: Journey, authenticated: Authenticated, body: Buffer): Promise<Output> {
    const operation = lookUp(operationOf(journey.headers), journey)
    const input = readInput(operation.input, body)
    journey.input = input
    const { caller, region } = authenticated
    const counted = this.#parts.throttle.count(caller, region, rateNameOf(operation.name, input))
    if (counted === undefined) return this.#run(journey, authenticated, operation, input)
    return counted.then(() => this.#run(journey, authenticated, operation, input))
  }

  #run(journey: Journey, authenticated: Authenticated, operation: Operation, input: Input): Promise<Output> {
    const { services, record } = this.#parts
    const { requestId, eventId, trail, origin } = journey
    const { caller, region, sourceArn } = authenticated
    // Member by member: a spread takes several times as much.
    const asker = { caller, region, sourceArn, origin, trail, requestId, eventId }
    const output = record.performing(journey, () => operation.perform(services, asker, input))
    return input.DryRun === true ? withheld(output) : output
  }

  encode(output: Output): string {
    return encodeOutput(output)
  }

  refusalOf(thrown: unknown): KmsError {
    return kmsErrorOf(thrown)
  }

  encodeRefusal(refusal: KmsError): string {
    return encodeError(refusal)
  }

  headersOf(requestId: string, lengthBytes: number, refusal?: KmsError): string[] {
    return responseHeaders(requestId, lengthBytes, refusal?.code)
  }
}

async function withheld(output: Promise<Output>): Promise<never> {
  wipePlaintext(await output)
  throw new KmsError('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.')
}

function lookUp(name: string, journey: Journey): Operation {
  if (!isOperationName(name)) throw new KmsError('UnknownOperationException')
  journey.operation = name
  const operation = registry.get(name)
  if (operation === undefined) throw new KmsError('UnsupportedOperationException', `${name} is not supported yet.`)
  journey.readOnly = operation.readOnly
  return operation
}
