export { Decapsulate } from './Decapsulate.ts'
export { Encapsulate } from './Encapsulate.ts'
