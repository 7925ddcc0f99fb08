import type { Handler } from './command.ts'

export const createBackingKey: Handler<'createBackingKey'> = ({ backingKeys }, args) => backingKeys.create(args)
