/**
 * Which members of a request and of its answer are recorded (crypto.md 11.3): a list of what may be, so that a member that
 * nobody has thought about is left out. Plaintext, ciphertexts, messages, signatures, tokens and keys are on neither list.
 */

/** Members of requests that are recorded when they are there. Strings, numbers, flags, and maps and lists of these. */
export const RECORDED_MEMBERS: ReadonlySet<string> = new Set([
  'AliasName',
  'BypassPolicyLockoutSafetyCheck',
  'Constraints',
  'CurrentKeyMaterialId',
  'CustomKeyStoreId',
  'CustomerMasterKeySpec',
  'Description',
  'DestinationEncryptionAlgorithm',
  'DestinationEncryptionContext',
  'DestinationKeyId',
  'DryRun',
  'EncapsulationAlgorithm',
  'EncryptionAlgorithm',
  'EncryptionContext',
  'ExpirationModel',
  'GrantId',
  'GranteePrincipal',
  'GranteeServicePrincipal',
  'ImportType',
  'IncludeKeyMaterial',
  'KeyAgreementAlgorithm',
  'KeyId',
  'KeyMaterialDescription',
  'KeyMaterialId',
  'KeyPairSpec',
  'KeySpec',
  'KeyUsage',
  'Limit',
  'MacAlgorithm',
  'Marker',
  'MessageType',
  'MultiRegion',
  'Name',
  'NumberOfBytes',
  'Operations',
  'Origin',
  'PendingWindowInDays',
  'Policy',
  'PolicyName',
  'PrimaryRegion',
  'ReplicaRegion',
  'RetiringPrincipal',
  'RetiringServicePrincipal',
  'RotationPeriodInDays',
  'SigningAlgorithm',
  'SourceEncryptionAlgorithm',
  'SourceEncryptionContext',
  'SourceKeyId',
  'TagKeys',
  'Tags',
  'TargetKeyId',
  'ValidTo',
  'WrappingAlgorithm',
  'WrappingKeySpec',
  'XksKeyId',
  // STS
  'DurationSeconds',
  'PolicyArns',
  'RoleArn',
  'RoleSessionName',
  'SourceIdentity',
  'TransitiveTagKeys',
  // CloudTrail
  'EndTime',
  'EventCategory',
  'LookupAttributes',
  'MaxResults',
  'StartTime',
])

/** Members that no record holds, each looked at; every member of an operation is on one of the two lists. */
export const UNRECORDED_MEMBERS: ReadonlySet<string> = new Set([
  'CiphertextBlob',
  'DryRunModifiers',
  'EncryptedKeyMaterial',
  'GrantToken',
  'GrantTokens',
  'ImportToken',
  'Mac',
  'Message',
  'NextToken',
  'Plaintext',
  'PublicKey',
  'Recipient',
  'SharedSecretCiphertextBlob',
  'Signature',
])

/** Members of answers to changes that are recorded. */
export const RECORDED_ANSWERS: ReadonlySet<string> = new Set([
  'AssumedRoleUser',
  'DeletionDate',
  'GrantId',
  'KeyId',
  'KeyMaterialId',
  'KeyMetadata',
  'KeyState',
  'PendingWindowInDays',
  'ReplicaKeyMetadata',
  'ReplicaPolicy',
  'ReplicaTags',
])

const ELEMENTS_MAX_BYTES = 100 * 1_024
const TOO_LONG = '{"omitted":"longer than 100 KB"}'

const spelling = new Map<string, string>()

/** JSON of the recorded members, spelled in lowerCamelCase as CloudTrail does; `null` when there is none. */
export function recordedMembers(
  members: Readonly<Record<string, unknown>> | undefined,
  recorded: ReadonlySet<string>,
): string {
  let json = ''
  for (const name in members) {
    if (!recorded.has(name)) continue
    const value = members[name]
    if (value === undefined) continue
    const text = typeof value === 'string' ? JSON.stringify(value) : JSON.stringify(plain(value))
    json += json === '' ? `{${spelled(name)}${text}` : `,${spelled(name)}${text}`
  }
  if (json === '') return 'null'
  return json.length > ELEMENTS_MAX_BYTES ? TOO_LONG : `${json}}`
}

/** `"keyId":`, remembered: names come from the lists above. */
function spelled(name: string): string {
  let text = spelling.get(name)
  if (text === undefined) {
    text = `${JSON.stringify(lowerCamel(name))}:`
    spelling.set(name, text)
  }
  return text
}

/** CloudTrail spells `AWSAccountId` as `aWSAccountId`. */
function lowerCamel(name: string): string {
  return name.slice(0, 1).toLowerCase() + name.slice(1)
}

/** Bytes never stand in a record, whatever member they are in. The pairs of a Map keep their names, `__proto__` too. */
function plain(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Uint8Array) return '(bytes)'
  if (value instanceof Map) return Object.fromEntries(value)
  if (Array.isArray(value)) return value.map(plain)
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, member]) => member !== undefined)
      .map(([name, member]) => [lowerCamel(name), plain(member)]),
  )
}
