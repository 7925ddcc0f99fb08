export { GenerateMac } from './GenerateMac.ts'
export { VerifyMac } from './VerifyMac.ts'
