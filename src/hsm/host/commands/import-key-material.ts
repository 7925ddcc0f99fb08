import type { Handler } from './command.ts'

export const importKeyMaterial: Handler<'importKeyMaterial'> = ({ imports }, args) => imports.import(args)
