/** Every operation that is served, by name: the groups' lists, folded. */
import type { OperationName } from '../model/operations.ts'
import * as aliases from './aliases/index.ts'
import * as asymmetric from './asymmetric/index.ts'
import * as cryptographic from './cryptographic/index.ts'
import * as encapsulation from './encapsulation/index.ts'
import * as grants from './grants/index.ts'
import * as imports from './import/index.ts'
import * as keys from './keys/index.ts'
import * as macs from './macs/index.ts'
import * as multiRegion from './multi-region/index.ts'
import type { Operation } from './operation.ts'
import * as policies from './policies/index.ts'
import * as rotation from './rotation/index.ts'
import * as tags from './tags/index.ts'

export const registry: ReadonlyMap<OperationName, Operation> = new Map(
  [
    ...[cryptographic, asymmetric, encapsulation, macs, keys, imports, rotation, aliases, tags, policies, grants],
    multiRegion,
  ]
    .flatMap(group => Object.values<Operation>(group))
    .map(operation => [operation.name, operation]),
)
