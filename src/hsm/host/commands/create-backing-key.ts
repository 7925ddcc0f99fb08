import type { Handler } from './command.ts'

export const createBackingKey: Handler<'createBackingKey'> = ({ hbkMaker }, args) => hbkMaker.create(args)
