import type { Handler } from './command.ts'

export const createImportKey: Handler<'createImportKey'> = ({ imports }, args) => imports.createKey(args)
