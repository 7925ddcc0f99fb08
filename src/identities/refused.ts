/** What an operator asked for cannot be done; the message says why. */
export class IdentityRefused extends Error {
  override readonly name = 'IdentityRefused'
}
