/**
 * Which keys are a service's, as an index: with each new key those of its account are counted, and so the count reads indexes
 * alone.
 */
import { type Kysely, sql } from 'kysely'

export async function indexKeysOfServices({ schema }: Kysely<unknown>): Promise<void> {
  await schema
    .createIndex('keys_of_services')
    .on('keys')
    .columns(['region', 'account'])
    .where(sql<boolean>`managed_by is not null`)
    .execute()
}
