/** What an alias may be called and what it may point to. */
import type { ResourceQuotas } from '../../config/schema.ts'
import { parseKmsArn } from '../../model/arn.ts'
import { KmsError } from '../../model/errors.ts'
import type { KmsKey } from '../../model/key.ts'
import { specFacts } from '../../model/key-specs.ts'
import { RESERVED_PREFIX } from '../service-keys.ts'
import { invalid } from '../shapes.ts'

const PREFIX = 'alias/'
const NAME = /^alias\/[a-zA-Z0-9/_-]+$/

/** Whether it is the name of an alias at all, existing or not. Throws KmsError ValidationException. */
export function requireAliasName(name: string): void {
  if (!name.startsWith(PREFIX)) {
    invalid(
      'Alias must start with the prefix "alias/". Please see https://docs.aws.amazon.com/kms/latest/developerguide/kms-alias.html',
    )
  }
  if (name === PREFIX) invalid('An alias name must have at least one character after "alias/".')
}

/** Whether an alias may be made with this name. Throws KmsError ValidationException or InvalidAliasNameException. */
export function requireNewAliasName(name: string): void {
  requireAliasName(name)
  if (name.startsWith(RESERVED_PREFIX)) {
    throw new KmsError('InvalidAliasNameException', 'Alias names that begin with alias/aws/ are reserved.')
  }
  if (!NAME.test(name)) {
    throw new KmsError('InvalidAliasNameException', `${name} contains invalid characters for an alias`)
  }
}

/** An alias points to a key, never to another alias. Throws KmsError ValidationException. */
export function requireNoAlias(targetKeyId: string): void {
  const resource = parseKmsArn(targetKeyId)?.resource ?? targetKeyId
  if (resource.startsWith(PREFIX)) invalid('Aliases must refer to keys. Not aliases')
}

/** An alias stays within one kind of key, so that code that uses it goes on working. Throws KmsError ValidationException. */
export function requireSameKind(old: KmsKey, next: KmsKey): void {
  if (specFacts(old.spec).class !== specFacts(next.spec).class || old.usage !== next.usage) {
    invalid(`Alias cannot be changed from a ${old.spec} ${old.usage} key to a ${next.spec} ${next.usage} key.`)
  }
}

/** Throws KmsError LimitExceededException. */
export function requireRoomForAlias(key: KmsKey, aliases: number, { aliasesPerKey }: ResourceQuotas): void {
  if (aliases < aliasesPerKey) return
  throw new KmsError('LimitExceededException', `${key.arn} has ${aliases} aliases; a key can have ${aliasesPerKey}.`)
}
