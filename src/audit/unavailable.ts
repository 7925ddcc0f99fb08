/** An event cannot be recorded, so what it would tell of is not done. */
export class AuditUnavailable extends Error {
  override readonly name = 'AuditUnavailable'
}
