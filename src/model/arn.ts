/** Amazon Resource Names of KMS keys, aliases and principals, written and read in one place. */

const PARTITION = 'aws'
const ACCOUNT = /^\d{12}$/

export function keyArn(region: string, account: string, keyId: string): string {
  return `arn:${PARTITION}:kms:${region}:${account}:key/${keyId}`
}

/** `name` begins with `alias/`. */
export function aliasArn(region: string, account: string, name: string): string {
  return `arn:${PARTITION}:kms:${region}:${account}:${name}`
}

/** `path` begins and ends with `/`. */
export function userArn(account: string, path: string, name: string): string {
  return `arn:${PARTITION}:iam::${account}:user${path}${name}`
}

export function rootArn(account: string): string {
  return `arn:${PARTITION}:iam::${account}:root`
}

/** All that an account has in a region: the resource of actions that are about no key in particular. */
export function accountArn(region: string, account: string): string {
  return `arn:${PARTITION}:kms:${region}:${account}:*`
}

export interface KmsArn {
  readonly region: string
  readonly account: string
  /** `key/<id>` or `alias/<name>`. */
  readonly resource: string
}

/** The parts of an ARN of service kms; undefined when it is not one. */
export function parseKmsArn(text: string): KmsArn | undefined {
  const parts = text.split(':')
  const [arn, partition, service, region, account] = parts
  if (arn !== 'arn' || partition !== PARTITION || service !== 'kms' || !region || !account) return undefined
  if (!ACCOUNT.test(account)) return undefined
  const resource = parts.slice(5).join(':')
  if (!/^(?:key|alias)\/./.test(resource)) return undefined
  return { region, account, resource }
}
