/** What makes a document no policy. The message is public, and quotes nothing longer than a name. */
export class PolicyFault extends Error {
  override readonly name = 'PolicyFault'
}

/** A Principal is an ARN, and of nothing that can be one. */
export class PrincipalArnFault extends PolicyFault {}

export function malformed(why: string): PolicyFault {
  return new PolicyFault(`The policy is not valid: ${why}.`)
}

/** A name from a policy, for a message. */
export function quoted(name: string): string {
  return `"${name.length > 80 ? `${name.slice(0, 80)}...` : name}"`
}
