/**
 * What a request to STS goes through between the two ends of its road (api/road.ts): action, throttle, input, run.
 * GetCallerIdentity and AssumeRole decide for themselves who may call them.
 */
import { type Infer, parseInput, type Structure } from '../../base/schema.ts'
import { type ErrorCode, KmsError } from '../../model/errors.ts'
import type { StsOutput, StsServices } from '../../sts/action.ts'
import { ACTIONS } from '../../sts/actions.ts'
import { StsError, type StsErrorCode } from '../../sts/errors.ts'
import type { Authenticated } from '../authenticate.ts'
import type { Journey } from '../journey.ts'
import type { Pipeline } from '../road.ts'
import type { Throttling } from '../throttle.ts'
import { echo, parseQuery } from './query.ts'
import { encodeAnswer, encodeError, XML_CONTENT_TYPE } from './xml.ts'

export interface StsPipelineParts {
  readonly throttle: Throttling
  readonly services: StsServices
}

/** What the steps that STS shares with KMS throw, in the words of the Query protocol. */
const CODES: Partial<Record<ErrorCode, StsErrorCode>> = {
  AccessDeniedException: 'AccessDenied',
  DependencyTimeoutException: 'ServiceUnavailable',
  ExpiredTokenException: 'ExpiredToken',
  IncompleteSignatureException: 'IncompleteSignature',
  InvalidSignatureException: 'SignatureDoesNotMatch',
  KeyUnavailableException: 'ServiceUnavailable',
  MissingAuthenticationTokenException: 'MissingAuthenticationToken',
  RequestEntityTooLargeException: 'RequestEntityTooLarge',
  SerializationException: 'MalformedInput',
  ThrottlingException: 'Throttling',
  UnrecognizedClientException: 'InvalidClientTokenId',
}

export class StsPipeline implements Pipeline<StsOutput, StsError> {
  readonly #parts: StsPipelineParts

  constructor(parts: StsPipelineParts) {
    this.#parts = parts
  }

  async perform(journey: Journey, authenticated: Authenticated, body: Buffer): Promise<StsOutput> {
    const { throttle, services } = this.#parts
    const { action: name, parameters } = parseQuery(body)
    const action = ACTIONS.get(name)
    if (action === undefined) throw new StsError('InvalidAction', `Could not find operation ${echo(name)}`)
    journey.operation = name
    const counted = throttle.count(authenticated.caller, authenticated.region, 'sts')
    if (counted !== undefined) await counted
    const input = readInput(action.input, parameters)
    journey.input = input
    return action.perform({ ...services, ...authenticated, origin: journey.origin }, input)
  }

  encode(output: StsOutput, { operation, requestId }: Journey): string {
    return encodeAnswer(operation, output, requestId)
  }

  refusalOf(thrown: unknown): StsError {
    if (thrown instanceof StsError) return thrown
    const code = thrown instanceof KmsError ? CODES[thrown.code] : undefined
    if (thrown instanceof KmsError && code !== undefined) {
      const { message, detail } = thrown
      return new StsError(code, message, detail === undefined ? {} : { detail })
    }
    return new StsError('InternalFailure', 'The request failed because of an internal error.', { cause: thrown })
  }

  encodeRefusal(refusal: StsError, { requestId }: Journey): string {
    return encodeError(refusal, requestId)
  }

  headersOf(requestId: string, lengthBytes: number): string[] {
    return ['Content-Type', XML_CONTENT_TYPE, 'x-amzn-RequestId', requestId, 'Content-Length', String(lengthBytes)]
  }
}

/** Throws StsError ValidationError or MalformedInput. */
function readInput<S extends Structure>(shape: S, parameters: Readonly<Record<string, unknown>>): Infer<S> {
  const parsed = parseInput(shape, parameters)
  if (parsed.fault === undefined) return parsed.value
  throw new StsError(parsed.fault === 'type' ? 'MalformedInput' : 'ValidationError', parsed.message)
}
