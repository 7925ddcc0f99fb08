/** THE errors of CloudTrail that LookupEvents has of its own; what it shares with KMS has KMS's codes. */

export const cloudTrailCatalogue = {
  InvalidLookupAttributesException: 'The attribute to look up is none, or there are several.',
  InvalidMaxResultsException: 'MaxResults is not a number from 1 to 50.',
  InvalidNextTokenException: 'NextToken is not one that this lookup returned.',
  InvalidTimeRangeException: 'StartTime is behind EndTime.',
  UnsupportedOperationException: 'Only LookupEvents is served.',
} as const

export type CloudTrailErrorCode = keyof typeof cloudTrailCatalogue

/** An error that a caller of CloudTrail receives. */
export class CloudTrailError extends Error {
  override readonly name = 'CloudTrailError'
  readonly code: CloudTrailErrorCode
  /** Of the HTTP answer. */
  readonly status = 400
  /** The message says it all. */
  readonly detail = undefined

  constructor(code: CloudTrailErrorCode, message: string = cloudTrailCatalogue[code]) {
    super(message)
    this.code = code
  }
}
