/** THE errors of STS, with their statuses: the Query protocol has codes of its own. */

export const stsCatalogue = {
  AccessDenied: { status: 403, meaning: 'The caller may not assume this role, or there is none.' },
  ExpiredToken: { status: 403, meaning: 'The session of the temporary credentials is over.' },
  IncompleteSignature: { status: 400, meaning: 'The Authorization header is malformed.' },
  InternalFailure: { status: 500, meaning: 'Strongroom failed; its log says why.' },
  InvalidAction: { status: 400, meaning: 'There is no such action, or not in this version.' },
  InvalidClientTokenId: { status: 403, meaning: 'The access key or session token is not valid.' },
  InvalidParameterValue: { status: 400, meaning: 'The session tags are not allowed.' },
  MalformedInput: { status: 400, meaning: 'The form cannot be read.' },
  MalformedPolicyDocument: { status: 400, meaning: 'The session policy is not a policy document.' },
  MissingAction: { status: 400, meaning: 'The form has no Action.' },
  MissingAuthenticationToken: { status: 403, meaning: 'The request is not signed.' },
  PackedPolicyTooLarge: { status: 400, meaning: 'Session policies and tags do not fit into a token.' },
  RequestEntityTooLarge: { status: 413, meaning: 'The request body is larger than any legal request.' },
  ServiceUnavailable: { status: 503, meaning: 'A part that the request needs did not answer in time; try again.' },
  SignatureDoesNotMatch: { status: 403, meaning: 'The signature, its date or its scope is wrong.' },
  Throttling: { status: 400, meaning: 'Too many requests; slow down.' },
  ValidationError: { status: 400, meaning: 'A parameter breaks a constraint.' },
} as const

export type StsErrorCode = keyof typeof stsCatalogue

/** An error that a caller of STS receives. `message` is public; `detail` goes to the log. */
export class StsError extends Error {
  override readonly name = 'StsError'
  readonly code: StsErrorCode
  readonly detail: string | undefined

  constructor(code: StsErrorCode, message: string, options: { detail?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.detail = options.detail
  }

  /** Of the HTTP answer. */
  get status(): number {
    return stsCatalogue[this.code].status
  }
}
