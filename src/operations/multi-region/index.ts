export { ReplicateKey } from './ReplicateKey.ts'
export { UpdatePrimaryRegion } from './UpdatePrimaryRegion.ts'
