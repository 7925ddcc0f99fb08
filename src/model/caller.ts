/**
 * Who calls, as the decision sees it, and the decision. How a caller proved who it is (api/authenticate.ts) ends before
 * this: an access key, a session token and whatever comes later give the same Caller.
 */

/** A policy document that speaks for or against a caller. The same object as long as the text is the same. */
export interface PolicySource {
  /** What the reason of a decision calls it, such as `inline policy FullAccess of user alice` or a managed policy's ARN. */
  readonly name: string
  /** JSON as it was stored. */
  readonly document: string
}

/**
 * - `root`: the account itself; no identity policy applies to it.
 * - `user`: by a long-term access key.
 * - `assumed-role`: a session of a role, by temporary credentials.
 * - `service`: a service of this deployment; its ARN is its name, such as `storage.amazonaws.com`.
 */
export type CallerKind = 'root' | 'user' | 'assumed-role' | 'service'

/**
 * Whom ARNs meant when a policy or grant was written: the immutable id of each user and role, and of a session's role. An
 * identity that is made again under the name of one that is gone does not inherit what was given to that one.
 */
export type PrincipalIds = ReadonlyMap<string, string>

/** Whether the caller is who the ARN meant; an ARN without an id means whoever has it. */
export function isMeantBy(ids: PrincipalIds, arn: string, { userId }: Pick<Caller, 'userId'>): boolean {
  const id = ids.get(arn)
  return id === undefined || id === userId || userId.startsWith(`${id}:`)
}

export interface Caller {
  readonly kind: CallerKind
  /** The ARN that messages name: of a session its own, not its role's. */
  readonly arn: string
  /** 12 digits. Of a service: the account that keeps it, which gives it no right there. */
  readonly account: string
  /** `aws:userid`: immutable and never used again; of a session the role's, a colon and the session name. */
  readonly userId: string
  /** The role's ARN, path included, for a session; the caller's own for all others (`aws:PrincipalArn`). */
  readonly principalArn: string
  /** Of a user, as `aws:username` has it. */
  readonly userName?: string
  /** Identity policies: inline and managed, a user's groups' too. */
  readonly policies: readonly PolicySource[]
  /** The permissions boundary: a ceiling. */
  readonly boundary?: PolicySource
  /** What the session was limited to when it was made, as a union and a ceiling; absent when it was not. */
  readonly sessionPolicies?: readonly PolicySource[]
  /** `aws:PrincipalTag/…`: a session's tags are its role's with its own over them. */
  readonly tags: ReadonlyMap<string, string>
  /** Of an assumed role. */
  readonly sessionName?: string
  /** Keys of those tags of a session that go along when it assumes another role. */
  readonly transitiveTagKeys?: readonly string[]
  /** `aws:SourceIdentity`. */
  readonly sourceIdentity?: string
  /** When the temporary credentials were issued (`aws:TokenIssueTime`), in milliseconds. */
  readonly tokenIssuedAtMs?: number
  /** The service that calls on this caller's behalf, as a principal (`storage.amazonaws.com`); absent for direct calls. */
  readonly viaService?: string
}

/** Allowed or not, and always why: the reason goes into the message and the log. */
export type Decision =
  | { readonly allowed: true; readonly reason: string }
  | { readonly allowed: false; readonly reason: string; readonly message: string }
