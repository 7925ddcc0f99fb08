export { CreateAlias } from './CreateAlias.ts'
export { DeleteAlias } from './DeleteAlias.ts'
export { ListAliases } from './ListAliases.ts'
export { UpdateAlias } from './UpdateAlias.ts'
