/** The request that explains decisions. */
import { z } from 'zod'
import type { Explanations } from '../explanations.ts'
import { look } from './request.ts'

const question = z.strictObject({
  principal: z.string().min(1).max(2_048),
  action: z.string().regex(/^kms:[A-Za-z]{1,64}$/, 'must be of the form kms:Operation'),
  region: z.string().min(1).max(64),
  key: z.string().min(1).max(2_048).optional(),
  context: z.array(z.tuple([z.string().max(8_192), z.string().max(8_192)])).max(100),
})

export function authzRequests(explanations: Explanations) {
  return { 'authz/explain': look(question, request => explanations.explain(request)) }
}
