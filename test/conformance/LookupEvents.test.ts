/** `aws cloudtrail lookup-events`, Debian's, against the daemon. */
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { askDaemon } from '../../src/cli/admin-client.ts'
import { runAwsCli, type Sandbox, startSandbox } from '../support/sandbox.ts'

let sandbox: Sandbox
let KeyId: string
let startedAt: string

beforeAll(async () => {
  startedAt = new Date().toISOString()
  sandbox = await startSandbox({ tokens: 1 })
  const kms = sandbox.client()
  KeyId = (await kms.createKey({ Description: 'looked up' })).KeyMetadata!.KeyId!
  for (let count = 0; count < 5; count += 1) await kms.encrypt({ KeyId, Plaintext: Buffer.from('x') })
  await kms.describeKey({ KeyId: 'alias/absent' }).catch(() => {})
})

afterAll(() => sandbox?.stop())

interface Answer {
  readonly Events: readonly {
    readonly EventId: string
    readonly EventName: string
    readonly ReadOnly: string
    readonly Username: string
    readonly AccessKeyId: string
    readonly EventSource: string
    readonly Resources: readonly { readonly ResourceType: string; readonly ResourceName: string }[]
    readonly CloudTrailEvent: string
  }[]
  readonly NextToken?: string
}

async function lookUp(...args: string[]): Promise<Answer> {
  const { code, stdout, stderr } = await runAwsCli(sandbox, ['cloudtrail', 'lookup-events', ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout) as Answer
}

const by = (key: string, value: string) => ['--lookup-attributes', `AttributeKey=${key},AttributeValue=${value}`]

describe('aws cloudtrail lookup-events', () => {
  it('shows events in the shape of AWS, the newest first', async () => {
    const { Events } = await lookUp(...by('EventName', 'CreateKey'))
    expect(Events).toHaveLength(1)
    const [event] = Events
    expect(event).toMatchObject({
      ...{ EventName: 'CreateKey', ReadOnly: 'false', Username: 'admin', EventSource: 'kms.amazonaws.com' },
      AccessKeyId: sandbox.description.accessKeyId,
      Resources: [{ ResourceType: 'AWS::KMS::Key', ResourceName: expect.stringContaining(KeyId) }],
    })
    expect(JSON.parse(event!.CloudTrailEvent)).toMatchObject({
      ...{ eventID: event!.EventId, requestParameters: { description: 'looked up' } },
      responseElements: { keyMetadata: { keyId: KeyId } },
    })
  })

  it('finds by resource, user and id, and in a time', async () => {
    const arn = `arn:aws:kms:on-prem-1:${sandbox.description.accountId}:key/${KeyId}`
    const { Events } = await lookUp(...by('ResourceName', arn), '--start-time', startedAt)
    expect(Events.map(({ EventName }) => EventName)).toEqual([...Array(5).fill('Encrypt'), 'CreateKey'])
    const [{ EventId }] = Events as [Answer['Events'][number]]
    expect((await lookUp(...by('EventId', EventId))).Events).toHaveLength(1)
    expect((await lookUp(...by('Username', 'nobody'))).Events).toEqual([])
    expect((await lookUp('--end-time', '2020-01-01T00:00:00Z')).Events).toEqual([])
  })

  it('finds the event of the last use of a key, which GetKeyLastUsage names', async () => {
    const { KeyLastUsage } = await sandbox.client().getKeyLastUsage({ KeyId })
    const { Events } = await lookUp(...by('EventId', KeyLastUsage!.CloudTrailEventId!))
    expect(Events).toHaveLength(1)
    const { requestID, eventName, resources } = JSON.parse(Events[0]!.CloudTrailEvent)
    expect({ requestID, eventName }).toEqual({ requestID: KeyLastUsage!.KmsRequestId, eventName: 'Encrypt' })
    expect(resources).toMatchObject([{ ARN: expect.stringContaining(KeyId) }])
  })

  it('goes through pages, each event once', async () => {
    const { Events } = await lookUp(...by('EventName', 'Encrypt'), '--page-size', '2')
    expect(new Set(Events.map(({ EventId }) => EventId)).size).toBe(5)
    expect(Events).toHaveLength(5)
  })

  it('refuses who may not look', async () => {
    const ask = (name: Parameters<typeof askDaemon>[1], body: object) =>
      askDaemon(join(sandbox.description.dir, 'admin.sock'), name, body as never)
    const stranger = { account: sandbox.description.accountId, kind: 'user', name: 'stranger' }
    await ask('identity/create', stranger)
    const { accessKeyId, secretAccessKey } = (await ask('access-key/create', stranger)) as Record<string, string>
    const description = { ...sandbox.description, accessKeyId: accessKeyId!, secretAccessKey: secretAccessKey! }
    const { code, stderr } = await runAwsCli(description, ['cloudtrail', 'lookup-events'])
    expect([code, stderr]).toEqual([254, expect.stringContaining('AccessDeniedException')])
  })

  it('records itself', async () => {
    await lookUp()
    expect((await lookUp(...by('EventSource', 'cloudtrail.amazonaws.com'))).Events.length).toBeGreaterThan(0)
  })

  it('answers what is wrong with a lookup in words of CloudTrail', async () => {
    const refused = async (...args: string[]) =>
      (await runAwsCli(sandbox, ['cloudtrail', 'lookup-events', ...args])).stderr
    expect(await refused('--start-time', '2026-01-02', '--end-time', '2026-01-01')).toContain(
      'InvalidTimeRangeException',
    )
    expect(await refused('--next-token', 'YWJj')).toContain('InvalidNextTokenException')
    const other = await runAwsCli(sandbox, ['cloudtrail', 'describe-trails'])
    expect(other.stderr).toContain('UnsupportedOperationException')
  })
})
