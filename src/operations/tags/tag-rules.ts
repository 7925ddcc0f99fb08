/** What tags a key may carry. */
import type { RequestFacts } from '../../access/request-context.ts'
import type { ResourceQuotas } from '../../config/schema.ts'
import { KmsError } from '../../model/errors.ts'
import type { Tag } from '../../model/key.ts'

/** What conditions may ask of the tags that a request sets. */
export function tagFacts(tags: readonly { TagKey: string; TagValue: string }[]): RequestFacts {
  return {
    requestTags: tags.map(({ TagKey, TagValue }) => ({ key: TagKey, value: TagValue })),
    keys: { 'aws:TagKeys': tags.map(({ TagKey }) => TagKey) },
  }
}

/** The tags of a request. Throws KmsError TagException for a reserved key, a key given twice, or too many. */
export function requireTags(tags: readonly { TagKey: string; TagValue: string }[], quotas: ResourceQuotas): Tag[] {
  const keys = tags.map(({ TagKey }) => TagKey)
  if (keys.some(key => key.toLowerCase().startsWith('aws:')))
    throw new KmsError('TagException', 'Tags beginning with aws: are reserved')
  if (new Set(keys).size !== keys.length) throw new KmsError('TagException', 'Duplicate tag keys')
  requireTagCount(tags.length, quotas)
  return tags.map(({ TagKey, TagValue }) => ({ key: TagKey, value: TagValue }))
}

/** Throws KmsError TagException. */
export function requireTagCount(count: number, { tagsPerKey }: ResourceQuotas): void {
  if (count > tagsPerKey) throw new KmsError('TagException', 'Too many tags')
}
