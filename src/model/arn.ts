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

export function rootArn(account: string): string {
  return iamArn(account, 'root')
}

/** `path` begins and ends with `/`, here and below. */
export function userArn(account: string, path: string, name: string): string {
  return iamArn(account, `user${path}${name}`)
}

export function roleArn(account: string, path: string, name: string): string {
  return iamArn(account, `role${path}${name}`)
}

export function groupArn(account: string, path: string, name: string): string {
  return iamArn(account, `group${path}${name}`)
}

export function policyArn(account: string, path: string, name: string): string {
  return iamArn(account, `policy${path}${name}`)
}

/** Of a session of a role: the role's path is not in it. */
export function assumedRoleArn(account: string, role: string, session: string): string {
  return `arn:${PARTITION}:sts::${account}:assumed-role/${role}/${session}`
}

/** A service is a principal by its name, which is no ARN. */
export function servicePrincipal(name: string): string {
  return `${name}.amazonaws.com`
}

/** A service that calls on somebody's behalf, as `kms:ViaService` names it. `principal` is its name as a principal. */
export function viaServiceName(principal: string, region: string): string {
  const [name, ...domain] = principal.split('.')
  return [name, region, ...domain].join('.')
}

function iamArn(account: string, resource: string): string {
  return `arn:${PARTITION}:iam::${account}:${resource}`
}

export interface IamArn {
  readonly account: string
  /** `user`, `role`, `policy`, … */
  readonly kind: string
  readonly path: string
  readonly name: string
}

/** The parts of an ARN of service iam that names something in an account; undefined when it is not one. */
export function parseIamArn(text: string): IamArn | undefined {
  const [, account, kind, path, name] = /^arn:aws:iam::(\d{12}):([a-z-]+)(\/(?:[^:]+\/)?)([^/:]+)$/.exec(text) ?? []
  return account === undefined ? undefined : { account, kind: kind!, path: path!, name: name! }
}

/** The account in an ARN; undefined where it names none. */
export function accountOfArn(arn: string): string | undefined {
  const account = arn.split(':')[4]
  return account !== undefined && ACCOUNT.test(account) ? account : undefined
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
