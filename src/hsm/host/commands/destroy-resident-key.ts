import type { Handler } from './command.ts'

export const destroyResidentKey: Handler<'destroyResidentKey'> = ({ backingKeys }, { ekt }) => {
  backingKeys.destroyResident(ekt)
  return {}
}
