/** GetCallerIdentity says who signed the request. It needs no permission, and no policy can deny it. */
import { structure } from '../base/schema.ts'
import { defineAction } from './action.ts'

export const GetCallerIdentity = defineAction({
  name: 'GetCallerIdentity',
  input: structure({}),
  async run({ caller }) {
    return { UserId: caller.userId, Account: caller.account, Arn: caller.arn }
  },
})
