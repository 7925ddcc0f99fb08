import type { Handler } from './command.ts'

export const evict: Handler<'evict'> = ({ backingKeys }, { digest }) => {
  backingKeys.evict(digest)
  return {}
}
