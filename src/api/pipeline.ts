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
import type { Throttle } from './throttle.ts'

export interface KmsPipelineParts {
  readonly throttle: Throttle
  readonly services: Services
  readonly record: RequestRecord
}

export class KmsPipeline implements Pipeline<Output, KmsError> {
  readonly #parts: KmsPipelineParts

  constructor(parts: KmsPipelineParts) {
    this.#parts = parts
  }

  async perform(journey: Journey, authenticated: Authenticated, body: Buffer): Promise<Output> {
    const { throttle, services, record } = this.#parts
    const operation = lookUp(operationOf(journey.headers), journey)
    const input = readInput(operation.input, body)
    try {
      journey.input = input
      throttle.count(authenticated.caller, authenticated.region, rateNameOf(operation.name, input))
      const { requestId, eventId, trail, origin } = journey
      const asker = { ...authenticated, requestId, eventId, origin, trail }
      const output = await record.performing(journey, () => operation.perform(services, asker, input))
      if (input.DryRun !== true) return output
      wipePlaintext(output)
      throw new KmsError('DryRunOperationException', 'The request would have succeeded, but the DryRun option is set.')
    } finally {
      wipePlaintext(input)
    }
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

function lookUp(name: string, journey: Journey): Operation {
  if (!isOperationName(name)) throw new KmsError('UnknownOperationException')
  journey.operation = name
  const operation = registry.get(name)
  if (operation === undefined) throw new KmsError('UnsupportedOperationException', `${name} is not supported yet.`)
  journey.readOnly = operation.readOnly
  return operation
}
