/** Tags of keys. */
import type { KmsKey, Tag } from '../../model/key.ts'
import type { Page, Scope } from '../records.ts'
import type { Handle } from './tables.ts'

export async function listTags(db: Handle, { region, account }: Scope, keyId: string, page: Page): Promise<Tag[]> {
  const { after } = page
  const rows = await db
    .selectFrom('tags')
    .select(['tag_key', 'tag_value'])
    .where('region', '=', region)
    .where('account', '=', account)
    .where('key_id', '=', keyId)
    .$if(after !== undefined, query => query.where('tag_key', '>', after!))
    .orderBy('tag_key')
    .limit(page.limit)
    .execute()
  return rows.map(row => ({ key: row.tag_key, value: row.tag_value }))
}

/** A tag key that the key has already gets the new value. */
export async function putTags(db: Handle, { region, account, id }: KmsKey, tags: readonly Tag[]): Promise<void> {
  for (const tag of tags) {
    await db
      .insertInto('tags')
      .values({ region, account, key_id: id, tag_key: tag.key, tag_value: tag.value })
      .onConflict(conflict =>
        conflict.columns(['region', 'account', 'key_id', 'tag_key']).doUpdateSet({ tag_value: tag.value }),
      )
      .execute()
  }
}

/** Tag keys that the key does not have are passed over, as AWS does. */
export async function deleteTags(
  db: Handle,
  { region, account, id }: KmsKey,
  tagKeys: readonly string[],
): Promise<void> {
  if (tagKeys.length === 0) return
  await db
    .deleteFrom('tags')
    .where('region', '=', region)
    .where('account', '=', account)
    .where('key_id', '=', id)
    .where('tag_key', 'in', tagKeys)
    .execute()
}
