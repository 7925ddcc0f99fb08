/** The schemes of a region's domain, and whether each of its tokens enforces what seals it. */
import { type Kysely, sql } from 'kysely'

/** Domains made before there was a choice are of RFC 5649 and AES-CBC-DATA, and as sealed as all of their tokens. */
export async function addDomainSchemes(db: Kysely<unknown>): Promise<void> {
  const { schema } = db
  await schema
    .alterTable('domains')
    .addColumn('wrap_scheme', 'text', column => column.notNull().defaultTo('RFC5649'))
    .execute()
  await schema
    .alterTable('domains')
    .addColumn('kdf', 'text', column => column.notNull().defaultTo('AES-CBC-DATA'))
    .execute()
  await schema
    .alterTable('domain_tokens')
    .addColumn('sealed', 'integer', column => column.notNull().defaultTo(0))
    .execute()
  await sql`update domain_tokens set sealed =
    (select sealed from domains where domains.region = domain_tokens.region)`.execute(db)
}
