/** The text of requests' events: its pieces are remembered between them, and none may stand in the event of another. */
import { describe, expect, it } from '@jest/globals'
import { type CallFacts, callEvent } from '../../../src/audit/events.ts'

const AT_MS = Date.UTC(2026, 10, 22, 13, 0, 0, 500)
const allowed = { allowed: true, reason: 'the key policy, statement 1 ("Übung")' }
const otherwise = { allowed: true, reason: 'the key policy, statement 2' }
const key = { arn: 'arn:aws:kms:eu-central-1:111122223333:key/1', account: '111122223333' }
const otherKey = { arn: 'arn:aws:kms:eu-central-1:444455556666:key/2', account: '444455556666' }

const usual: CallFacts = {
  eventId: 'e-1',
  requestId: 'r-1',
  service: 'kms',
  operation: 'GenerateDataKey',
  readOnly: true,
  identity: '{"type":"Root"}',
  account: '111122223333',
  region: 'eu-central-1',
  sourceIp: '10.0.0.1',
  userAgent: 'aws-cli/2 "quoted"',
  secureTransport: false,
  decided: [{ action: 'kms:GenerateDataKey', resource: key, decision: allowed }],
  input: { KeyId: '1', KeySpec: 'AES_256' },
  output: { KeyMaterialId: 'ab', Plaintext: Buffer.alloc(32), KeyId: key.arn },
  error: undefined,
}

/** Each differs from the one before it in one thing, or a few. */
const variants: readonly Partial<CallFacts>[] = [
  {},
  { eventId: 'e-2', requestId: 'r-2' },
  { operation: 'Decrypt', decided: [{ action: 'kms:Decrypt', resource: key, decision: allowed }] },
  { decided: [{ action: 'kms:Decrypt', resource: key, decision: otherwise }] },
  { decided: [{ action: 'kms:Decrypt', resource: otherKey, decision: otherwise }] },
  { account: '444455556666', identity: '{"type":"IAMUser"}' },
  { account: undefined },
  { readOnly: false, output: { KeyId: key.arn } },
  { readOnly: false, output: { KeyMetadata: { Arn: otherKey.arn } }, resources: [key.arn], outcomeUnknown: true },
  { region: 'eu-west-1' },
  { region: undefined, sourceIp: undefined, userAgent: undefined },
  { sourceIp: '10.0.0.2' },
  { userAgent: 'x'.repeat(2_000) },
  { service: 'sts', operation: 'AssumeRole' },
  { decided: [] },
  { decided: [{ action: 'kms:ListKeys', resource: { arn: 'arn:aws:kms:eu:1:*', account: '1' }, decision: allowed }] },
  { decided: ['kms:ReEncryptFrom', 'kms:ReEncryptTo'].map(action => ({ action, resource: key, decision: allowed })) },
  { decided: [{ action: 'kms:Sign', resource: key, decision: { ...allowed, reason: 'grant g', grant: { id: 'g' } } }] },
  {
    decided: [{ action: 'kms:Sign', resource: key, decision: { allowed: false, reason: 'nobody' } }],
    error: { code: 'AccessDeniedException', message: 'no', detail: 'nobody' },
    output: undefined,
  },
]

/** The same members by the longer way. */
function expected(facts: CallFacts, atMs: number): unknown {
  const { account, decided, error, output, readOnly, resources = [] } = facts
  const made = (output?.KeyMetadata as { Arn: string } | undefined)?.Arn
  const arns = [...decided.map(({ resource }) => resource.arn), ...resources, ...(made === undefined ? [] : [made])]
  const named = [...new Set(arns)].filter(arn => !arn.endsWith(':*'))
  return {
    eventVersion: '1.11',
    userIdentity: JSON.parse(facts.identity),
    eventTime: `${new Date(atMs).toISOString().slice(0, 19)}Z`,
    eventSource: `${facts.service}.amazonaws.com`,
    eventName: facts.operation,
    awsRegion: facts.region ?? 'unknown',
    sourceIPAddress: facts.sourceIp,
    userAgent: facts.userAgent?.slice(0, 1_024),
    errorCode: error?.code,
    errorMessage: error?.message,
    requestParameters: { keyId: '1', keySpec: 'AES_256' },
    responseElements:
      readOnly || error !== undefined
        ? null
        : { keyId: output?.KeyId, keyMaterialId: output?.KeyMaterialId, keyMetadata: made && { arn: made } },
    additionalEventData: {
      decisions: decided.map(({ action, decision: { allowed, reason, grant } }) => {
        return { action, allowed, reason, grant: grant?.id }
      }),
      keyMaterialId: output?.KeyMaterialId,
      detail: error?.detail,
      outcomeUnknown: facts.outcomeUnknown,
    },
    requestID: facts.requestId,
    eventID: facts.eventId,
    readOnly,
    resources: named.map(ARN => ({ accountId: ARN.split(':')[4], type: 'AWS::KMS::Key', ARN })),
    eventType: 'AwsApiCall',
    managementEvent: true,
    eventCategory: 'Management',
    recipientAccountId: account,
  }
}

describe('the event of a request', () => {
  it.each([
    ['in turn', variants],
    ['each after the usual one', variants.flatMap(variant => [{}, variant])],
    ['one more after the other', variants.map((_, at) => Object.assign({}, ...variants.slice(0, at + 1)))],
  ])('holds its own facts alone, %s', (_, order) => {
    for (const variant of [...order, ...order]) {
      const facts = { ...usual, ...variant }
      expect(callEvent(facts, AT_MS)).toBe(JSON.stringify(expected(facts, AT_MS)))
    }
  })

  it('has the second in which it is recorded', () => {
    for (const atMs of [AT_MS, AT_MS + 499, AT_MS + 500, AT_MS - 501, AT_MS]) {
      expect(callEvent(usual, atMs)).toBe(JSON.stringify(expected(usual, atMs)))
    }
  })
})
