/**
 * THE error catalogue: every error code a caller can receive, with its HTTP status. The AWS KMS wire answers 400 for
 * every fault of the client, whatever the Smithy model says, and 500 or 503 for the server's own.
 */

interface ErrorKind {
  readonly status: 400 | 403 | 413 | 500 | 503
  /** What the code means, for docs/errors.md and for whoever reads this file. */
  readonly meaning: string
  /** AWS spells the member `Message` for this code. */
  readonly capitalMessage?: true
  /** AWS sends no message with this code, so that nothing tells failures apart. */
  readonly silent?: true
}

export const catalogue = {
  AccessDeniedException: { status: 400, meaning: 'The caller may not do this.', capitalMessage: true },
  AlreadyExistsException: { status: 400, meaning: 'The name is taken.' },
  ConflictException: { status: 400, meaning: 'Another change of the key is going on, or about to.' },
  DependencyTimeoutException: {
    status: 503,
    meaning: 'A part that the request needs did not answer in time; try again.',
  },
  DisabledException: { status: 400, meaning: 'The KMS key is disabled.' },
  DryRunOperationException: { status: 400, meaning: 'The request would have succeeded; DryRun was set.' },
  ExpiredImportTokenException: { status: 400, meaning: 'The import token is older than 24 hours.' },
  ExpiredTokenException: { status: 400, meaning: 'The session of the temporary credentials is over.' },
  IncompleteSignatureException: { status: 400, meaning: 'The Authorization header is malformed.' },
  IncorrectKeyException: { status: 400, meaning: 'The named key did not make this ciphertext.' },
  IncorrectKeyMaterialException: {
    status: 400,
    meaning: 'The imported bytes are not those of the material that is meant, or are in use already.',
  },
  InvalidAliasNameException: { status: 400, meaning: 'The alias name is not allowed.' },
  InvalidArnException: { status: 400, meaning: 'The ARN is malformed, or of a kind that is not accepted here.' },
  InvalidCiphertextException: {
    status: 400,
    meaning: 'The ciphertext was altered, cut, or made with another encryption context.',
    silent: true,
  },
  InvalidGrantIdException: { status: 400, meaning: 'The grant id is malformed.' },
  InvalidGrantTokenException: {
    status: 400,
    meaning: 'The grant token is unknown, malformed, of another region, or of a grant that is gone.',
  },
  InvalidImportTokenException: {
    status: 400,
    meaning: 'The import token is not for this key, or its wrapping key is gone.',
  },
  InvalidKeyUsageException: { status: 400, meaning: 'The key usage or algorithm does not fit the operation.' },
  InvalidMarkerException: { status: 400, meaning: 'The pagination marker is not one that this operation returned.' },
  InvalidSignatureException: { status: 400, meaning: 'The signature, its date or its scope is wrong.' },
  KeyUnavailableException: { status: 500, meaning: 'The key resides in tokens that cannot be reached now; try again.' },
  KMSInternalException: { status: 500, meaning: 'Strongroom failed; its log says why.' },
  KMSInvalidMacException: { status: 400, meaning: 'The MAC is not that of the message under this key.' },
  KMSInvalidSignatureException: { status: 400, meaning: 'The signature is not that of the message by this key.' },
  KMSInvalidStateException: { status: 400, meaning: 'The state of the key forbids the operation.' },
  LimitExceededException: { status: 400, meaning: 'A quota is used up.' },
  MalformedPolicyDocumentException: { status: 400, meaning: 'The policy is not a policy document.' },
  MissingAuthenticationTokenException: { status: 400, meaning: 'The request is not signed.' },
  NotFoundException: { status: 400, meaning: 'There is no such key or alias.' },
  RequestEntityTooLargeException: { status: 413, meaning: 'The request body is larger than any legal request.' },
  SerializationException: { status: 400, meaning: 'The body is not JSON, or a member has the wrong type.' },
  TagException: { status: 400, meaning: 'The tags are not allowed.' },
  ThrottlingException: { status: 400, meaning: 'Too many requests; slow down.' },
  UnknownOperationException: { status: 400, meaning: 'X-Amz-Target names no operation of this service.' },
  UnrecognizedClientException: { status: 400, meaning: 'The access key is unknown or inactive.' },
  UnsupportedOperationException: { status: 400, meaning: 'The operation, key spec or parameter is not supported.' },
  ValidationException: { status: 400, meaning: 'The input breaks a constraint.' },
} as const satisfies Record<string, ErrorKind>

export type ErrorCode = keyof typeof catalogue

/** What AWS says for a code; the entry's optional facts included. */
export function errorKind(code: ErrorCode): ErrorKind {
  return catalogue[code]
}

/**
 * An error that a caller receives. `message` is public and in AWS's wording; `detail` is private and goes to the log.
 * Neither may hold plaintext, secrets or wrapped bytes.
 */
export class KmsError extends Error {
  override readonly name = 'KmsError'
  readonly code: ErrorCode
  readonly detail: string | undefined

  constructor(code: ErrorCode, message = '', options: { detail?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.code = code
    this.detail = options.detail
  }

  /** Of the HTTP answer. */
  get status(): number {
    return errorKind(this.code).status
  }
}
