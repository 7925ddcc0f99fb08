export { GetKeyPolicy } from './GetKeyPolicy.ts'
export { ListKeyPolicies } from './ListKeyPolicies.ts'
export { PutKeyPolicy } from './PutKeyPolicy.ts'
