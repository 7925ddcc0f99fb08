/** Requests of `identity apply`: the differences first, then the change. */
import { z } from 'zod'
import type { Applying } from '../../identities/apply.ts'
import { declarationShape } from '../../identities/declaration.ts'
import { account, change, look } from './request.ts'

const declaration = z.strictObject({ account, declaration: declarationShape })

export function declarationRequests(applying: Applying) {
  return {
    'declaration/plan': look(declaration, request => applying.plan(request.account, request.declaration)),
    'declaration/apply': change(declaration.extend({ digest: z.string().max(64) }), request =>
      applying.apply(request.account, request.declaration, request.digest),
    ),
  }
}
