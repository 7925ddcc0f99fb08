export { DeleteImportedKeyMaterial } from './DeleteImportedKeyMaterial.ts'
export { GetParametersForImport } from './GetParametersForImport.ts'
export { ImportKeyMaterial } from './ImportKeyMaterial.ts'
