export { ListResourceTags } from './ListResourceTags.ts'
export { TagResource } from './TagResource.ts'
export { UntagResource } from './UntagResource.ts'
