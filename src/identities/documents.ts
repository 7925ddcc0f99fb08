/** The least that a policy document must be, until the policy engine reads it. */
import type { DocumentCheck } from './soundness.ts'

export const checkDocument: DocumentCheck = text => {
  const document = JSON.parse(text) as { Statement?: unknown } | null
  if (typeof document !== 'object' || document === null || Array.isArray(document)) throw new Error('it is no object')
  const statements = [document.Statement ?? []].flat()
  if (statements.length === 0) throw new Error('it has no statement')
}
