/** What must be known of actions besides their names. */

/**
 * Actions that principals of other accounts can be allowed (kms-api.md section 6, column X); all others are refused to
 * them whatever policies say.
 */
const CROSS_ACCOUNT: ReadonlySet<string> = new Set(
  [
    ...['Decrypt', 'Encrypt', 'ReEncryptFrom', 'ReEncryptTo', 'DescribeKey', 'GetPublicKey', 'GetKeyRotationStatus'],
    ...['GenerateDataKey', 'GenerateDataKeyWithoutPlaintext', 'GenerateDataKeyPair'],
    ...['GenerateDataKeyPairWithoutPlaintext', 'Sign', 'Verify', 'GenerateMac', 'VerifyMac'],
    ...['DeriveSharedSecret', 'Encapsulate', 'Decapsulate'],
    ...['CreateGrant', 'ListGrants', 'RetireGrant', 'RevokeGrant'],
  ]
    .map(name => `kms:${name}`)
    .concat('sts:AssumeRole', 'sts:TagSession', 'sts:SetSourceIdentity'),
)

export function mayCrossAccounts(action: string): boolean {
  return CROSS_ACCOUNT.has(action)
}

/** Decided by a grant, not by policies: they can only refuse it, or hand on what an account has (authz.md 5). */
export const RETIRE_GRANT = 'kms:RetireGrant'
