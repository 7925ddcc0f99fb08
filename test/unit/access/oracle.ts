/**
 * A second, naive reading of authz.md, to hold the engine against: written from the reference, without a line of the
 * engine, one regular expression or loop for each sentence, and slow.
 */

// biome-ignore lint/suspicious/noExplicitAny: documents as they come, read without a schema.
type Any = any
type Json = Record<string, Any>

export interface Case {
  readonly principal: {
    arn: string
    account: string | null
    type: string
    tags?: Record<string, string>
    roleArn?: string
  }
  readonly identityPolicies: Json[]
  readonly boundary: Json | null
  readonly sessionPolicies: Json[] | null
  readonly keyPolicy: Json | null
  readonly keyArn: string | null
  readonly grants: Json[]
  readonly action: string
  readonly context: Record<string, string | string[]>
}

const list = (value: unknown): Any[] => (value === undefined ? [] : Array.isArray(value) ? value : [value])
const CROSS_ACCOUNT =
  /^kms:((De|En)crypt|ReEncrypt(From|To)|GenerateDataKey.*|DescribeKey|GetPublicKey|GetKeyRotationStatus|Sign|Verify|GenerateMac|VerifyMac|DeriveSharedSecret|(En|De)capsulate|CreateGrant|ListGrants|RetireGrant|RevokeGrant)$/

export function judge(one: Case): boolean {
  const { principal, keyArn, keyPolicy, action } = one
  const keyAccount = keyArn?.split(':')[4]
  const ceilings = [
    ...(one.boundary ? [[one.boundary]] : []),
    ...(one.sessionPolicies?.length ? [one.sessionPolicies] : []),
  ]
  const mine = [...one.identityPolicies, ...ceilings.flat()]
  // 3.1: an explicit denial in any policy.
  if (mine.some(policy => says(one, policy, 'Deny', false).length > 0)) return false
  if (keyPolicy && says(one, keyPolicy, 'Deny', true).length > 0) return false
  const allowedByMine = one.identityPolicies.some(policy => says(one, policy, 'Allow', false).length > 0)
  const withinCeilings = ceilings.every(ceiling => ceiling.some(policy => says(one, policy, 'Allow', false).length > 0))
  if (keyPolicy === null) return principal.type === 'Account' || (allowedByMine && withinCeilings)

  const trust = action === 'kms:RetireGrant' ? [] : says(one, keyPolicy, 'Allow', true)
  const lent = one.grants.flatMap(grant => covers(one, grant))
  if (principal.type === 'Service') return trust.includes('exact') || lent.includes('exact')
  const isRoot = principal.type === 'Account'
  if (lent.includes('exact') || (lent.includes('role') && withinCeilings)) {
    if (principal.account === keyAccount || CROSS_ACCOUNT.test(action)) return true
  }
  const throughAccount = (how: string[]) => how.includes('account') && allowedByMine && withinCeilings
  if (principal.account === keyAccount) {
    if (trust.includes('exact') || (trust.includes('role') && withinCeilings)) return true
    return throughAccount(trust) || throughAccount(lent)
  }
  if (!CROSS_ACCOUNT.test(action)) return false
  return (trust.length > 0 && withinCeilings && (allowedByMine || isRoot)) || throughAccount(lent)
}

/** How each statement of a policy that applies means the principal. */
function says(one: Case, policy: Json, effect: string, isKeyPolicy: boolean): string[] {
  const variables = policy.Version === '2012-10-17'
  return list(policy.Statement).flatMap(statement => {
    if (statement.Effect !== effect) return []
    const how = isKeyPolicy ? means(one, statement) : ['exact']
    if (how.length === 0) return []
    const acts = list(statement.Action ?? statement.NotAction).some(glob =>
      like(glob.toLowerCase(), one.action.toLowerCase()),
    )
    if (acts !== (statement.Action !== undefined)) return []
    if (!aboutResource(one, statement, variables)) return []
    for (const [operator, keys] of Object.entries(statement.Condition ?? {})) {
      for (const [key, values] of Object.entries(keys as Json)) {
        if (!holds(one, operator, key, list(values).map(String), effect, variables, isKeyPolicy)) return []
      }
    }
    return how
  })
}

function means(one: Case, statement: Json): string[] {
  if (statement.NotPrincipal !== undefined) return meantBy(one, statement.NotPrincipal).length === 0 ? ['exact'] : []
  return meantBy(one, statement.Principal)
}

function meantBy({ principal, context }: Case, element: Any): string[] {
  if (element === '*') return ['exact']
  const names = list(element.AWS)
  if (names.includes('*')) return ['exact']
  if (principal.type === 'Service')
    return list(element.Service).some(name => name === '*' || name === principal.arn) ? ['exact'] : []
  if (names.includes(principal.arn)) return ['exact']
  const role = principal.type === 'AssumedRole' ? (principal.roleArn ?? context['aws:PrincipalArn']) : undefined
  if (role !== undefined && names.includes(role)) return ['role']
  const root = `arn:aws:iam::${principal.account}:root`
  if (!names.includes(principal.account) && !names.includes(root)) return []
  return [principal.type === 'Account' ? 'exact' : 'account']
}

function aboutResource(one: Case, statement: Json, variables: boolean): boolean {
  const given = statement.Resource ?? statement.NotResource
  if (given === undefined) return true
  const arn = one.keyArn ?? `arn:aws:kms:${contextOf(one)['aws:requestedregion'] ?? ''}:${one.principal.account}:*`
  const globs = list(given).map(glob => {
    const fields = glob.split(':')
    if (!variables || fields.length < 6) return glob
    const rest = substitute(one, fields.slice(5).join(':'))
    return rest === undefined ? undefined : [...fields.slice(0, 5), rest].join(':')
  })
  if (statement.NotResource !== undefined && globs.includes(undefined)) return false
  const matched = globs.some(glob => glob !== undefined && like(glob, arn))
  return matched === (statement.Resource !== undefined)
}

/** `*` any characters, `?` one; escaped characters (from variables) stand for themselves. */
function like(glob: string, text: string): boolean {
  const source = glob.replace(/\\(.)|[.+^${}()|[\]\\*?]/gs, (found, escaped) =>
    escaped !== undefined
      ? escaped.replace(/[.+^${}()|[\]\\*?]/g, '\\$&')
      : found === '*'
        ? '[^]*'
        : found === '?'
          ? '[^]'
          : `\\${found}`,
  )
  return new RegExp(`^${source}$`).test(text)
}

function plain(glob: string): string {
  return glob.replace(/\\(.)/gs, '$1')
}

/** Wildcards in what variables stand for are escaped. Undefined when a variable has no single value and no default. */
function substitute(one: Case, text: string): string | undefined {
  let failed = false
  const escaped = (value: string) => value.replace(/[*?\\]/g, '\\$&')
  const result = text.replace(/\$\{([^}]*)\}/g, (_, inner: string) => {
    if (['*', '?', '$'].includes(inner)) return `\\${inner}`
    const [key = '', fallback] = inner.split(/\s*,\s*/)
    const value = contextOf(one)[key.trim().toLowerCase()] ?? fallback?.replace(/^'|'$/g, '')
    if (typeof value !== 'string') failed = true
    return escaped(String(value))
  })
  return failed ? undefined : result
}

/** Keys in lower case; members of maps that differ by case are collected under a name with a `~`. */
function contextOf({ context, principal, keyArn, keyPolicy }: Case): Record<string, Any> {
  const found: Record<string, Any> = {}
  const put = (name: string, value: Any) => {
    const lower = name.toLowerCase()
    const map = /^(kms:encryptioncontext:|aws:(principal|request|resource)tag\/)./.test(lower)
    if (map && found[lower] !== undefined)
      found[lower] = { variants: [...(found[lower].variants ?? [found[lower]]), value] }
    else found[lower] = value
  }
  for (const [name, value] of Object.entries(context)) put(name, value)
  const absent = (name: string, value: Any) => {
    if (found[name.toLowerCase()] === undefined && value != null) found[name.toLowerCase()] = value
  }
  if (principal.type !== 'Service') absent('aws:PrincipalArn', principal.roleArn ?? principal.arn)
  absent('aws:PrincipalAccount', principal.account)
  absent('aws:PrincipalType', principal.type)
  if (principal.type === 'User') absent('aws:username', principal.arn.split('/').pop())
  absent('aws:RequestedRegion', keyArn?.split(':')[3])
  absent('aws:ResourceAccount', keyArn?.split(':')[4])
  if (keyPolicy !== null) absent('kms:CallerAccount', principal.account)
  const already = new Set(Object.keys(found))
  for (const [tag, value] of Object.entries(principal.tags ?? {})) {
    if (!already.has(`aws:principaltag/${tag}`.toLowerCase())) put(`aws:PrincipalTag/${tag}`, value)
  }
  return found
}

function holds(
  one: Case,
  operator: string,
  key: string,
  values: string[],
  effect: string,
  variables: boolean,
  isKeyPolicy: boolean,
): boolean {
  const lower = key.toLowerCase()
  let value = contextOf(one)[lower]
  if (isKeyPolicy && (lower === 'kms:resourcealiases' || lower.startsWith('aws:resourcetag/'))) value = undefined
  if (Array.isArray(value) && value.length === 0) value = undefined
  const [, set, name, ifExists] = /^(?:(ForAllValues|ForAnyValue):)?([A-Za-z]+?)(IfExists)?$/.exec(operator)!
  if (name === 'Null') return values.some(wanted => (wanted === 'true') === (value === undefined))
  const negated = /Not/.test(name!)
  const positive = name!.replace('Not', '')
  const textual = /^(String|Arn)/.test(positive)
  const resolved = values.map(each => (textual && variables ? substitute(one, each) : textual ? escapeAll(each) : each))
  if (negated && resolved.includes(undefined)) return false
  if (value === undefined) return ifExists !== undefined || set === 'ForAllValues' || (negated && set === undefined)
  const fits = (given: string) =>
    resolved.some(each => each !== undefined && compare(positive, given, each)) !== negated
  if (value.variants !== undefined) return effect === 'Allow' ? value.variants.every(fits) : value.variants.some(fits)
  return set === 'ForAllValues' ? list(value).every(fits) : list(value).some(fits)
}

/** In documents that know no variables a backslash is one. */
const escapeAll = (text: string) => text.replace(/\\/g, '\\\\')

function compare(operator: string, given: string, policy: string): boolean {
  switch (operator) {
    case 'StringEquals':
      return given === plain(policy)
    case 'StringEqualsIgnoreCase':
      return given.toLowerCase() === plain(policy).toLowerCase()
    case 'StringLike':
      return like(policy, given)
    case 'ArnEquals':
    case 'ArnLike': {
      const fields = (text: string) => [...text.split(':').slice(0, 5), text.split(':').slice(5).join(':')]
      if (given.split(':').length < 6 || policy.split(':').length < 6) return false
      return fields(policy).every((field, at) => like(field, fields(given)[at]!))
    }
    case 'Bool':
      return given.toLowerCase() === policy.toLowerCase()
    case 'BinaryEquals':
      return Buffer.from(given, 'base64').equals(Buffer.from(policy, 'base64'))
    case 'IpAddress':
      return inBlock(given, policy)
    default: {
      const [, family, order] = /^(Numeric|Date)(.*)$/.exec(operator)!
      const number = (text: string) => {
        if (family === 'Numeric' || /^\d+$/.test(text)) return Number(text)
        return /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) / 1000 : Number.NaN
      }
      const [a, b] = [number(given), number(policy)]
      return {
        Equals: a === b,
        LessThan: a < b,
        LessThanEquals: a <= b,
        GreaterThan: a > b,
        GreaterThanEquals: a >= b,
      }[order!]!
    }
  }
}

function inBlock(address: string, block: string): boolean {
  const [network = '', length = '128'] = block.split('/')
  const [a, b] = [bitsOf(address), bitsOf(network)]
  return [32, 128].includes(a.length) && a.length === b.length && a.startsWith(b.slice(0, Number(length)))
}

function bitsOf(address: string): string {
  if (/^\d+(\.\d+){3}$/.test(address))
    return address
      .split('.')
      .map(part => Number(part).toString(2).padStart(8, '0'))
      .join('')
  if (!/^[0-9a-f]*:[0-9a-f:]*$/i.test(address)) return address
  const [head = '', tail = ''] = address.split('::')
  const groups = (text: string) => (text === '' ? [] : text.split(':'))
  const zeros = Array(8 - groups(head).length - groups(tail).length).fill('0')
  return [...groups(head), ...zeros, ...groups(tail)]
    .map(group => Number.parseInt(group, 16).toString(2).padStart(16, '0'))
    .join('')
}

/** How a grant lends the action to the principal. */
function covers(one: Case, grant: Json): string[] {
  const { principal, context, action } = one
  const operation = action.replace('kms:', '')
  const accountRoot = `arn:aws:iam::${principal.account}:root`
  const role = principal.type === 'AssumedRole' ? (principal.roleArn ?? context['aws:PrincipalArn']) : undefined
  const how = (names: (string | undefined)[]): string[] => {
    const full = names.map(name => (/^\d{12}$/.test(name ?? '') ? `arn:aws:iam::${name}:root` : name))
    if (full.includes(principal.arn)) return ['exact']
    if (principal.type === 'Service') return []
    if (role !== undefined && full.includes(role as string)) return ['role']
    return full.includes(accountRoot) ? ['account'] : []
  }
  const grantee = grant.GranteePrincipal ?? grant.GranteeServicePrincipal
  if (operation === 'RetireGrant') {
    const mayRetire = grant.Operations.includes('RetireGrant') ? [grantee] : []
    return how([grant.RetiringPrincipal ?? grant.RetiringServicePrincipal, grant.IssuingAccount, ...mayRetire])
  }
  if (!grant.Operations.includes(operation)) return []
  const { EncryptionContextEquals: equals, EncryptionContextSubset: subset, SourceArn } = grant.Constraints ?? {}
  if (SourceArn !== undefined && contextOf(one)['aws:sourcearn'] !== SourceArn) return []
  const pairs = Object.fromEntries(
    Object.entries(context).flatMap(([name, value]) => {
      const [, member] = /^kms:EncryptionContext:(.+)$/i.exec(name) ?? []
      return member === undefined ? [] : [[member, value]]
    }),
  )
  const holdsAll = (wanted: Json) => Object.entries(wanted).every(([name, value]) => pairs[name] === value)
  const same = (wanted: Json) => holdsAll(wanted) && Object.keys(pairs).length === Object.keys(wanted).length
  if (operation === 'CreateGrant') {
    if (!list(context['kms:GrantOperations']).every(lent => grant.Operations.includes(lent))) return []
    const type = context['kms:GrantConstraintType']
    if (equals && !(type === 'EncryptionContextEquals' && same(equals))) return []
    if (subset && !(type !== undefined && holdsAll(subset))) return []
    if (SourceArn !== undefined && context['kms:GrantConstraintSourceArn'] !== SourceArn) return []
  } else if (operation !== 'DescribeKey') {
    if ((equals && !same(equals)) || (subset && !holdsAll(subset))) return []
  }
  return how([grantee])
}
