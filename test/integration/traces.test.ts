/** Traces: one span for each world, below the caller's own, and nothing in them that is nobody's business. */
import { KMS } from '@aws-sdk/client-kms'
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals'
import { type CollectedSpan, type Collector, startCollector } from '../support/collector.ts'
import { waitUntil } from '../support/processes.ts'
import { connectionOf, type Sandbox, startSandbox } from '../support/sandbox.ts'

/** A span comes a second after its end; a busy machine may take a while over it. */
const PATIENCE_MS = 50_000
const START_MS = 300_000
const CALLER_SPAN = '00f067aa0ba902b7'
/** Of the caller's trace of one request, as W3C Trace Context has it. */
const traceOf = (request: number) => `4bf92f3577b34da6a3ce929d0e0e${String(request).padStart(4, '0')}`

let collector: Collector
let sandbox: Sandbox
let KeyId: string

beforeAll(async () => {
  collector = await startCollector()
  const otlp = { endpoint: collector.endpoint, sampledOneIn: 1 }
  sandbox = await startSandbox({ settings: { telemetry: { otlp } } })
  KeyId = (await sandbox.client().createKey({})).KeyMetadata!.KeyId!
}, START_MS)

afterAll(async () => {
  await sandbox?.stop()
  await collector?.close()
}, START_MS)

/** Runs requests in the name of a caller who traces them. */
async function traced<T>(traceparent: string, work: (kms: KMS) => Promise<T>): Promise<T> {
  const kms = new KMS({ ...connectionOf(sandbox.description), maxAttempts: 1 })
  kms.middlewareStack.add(
    next => args => {
      const { headers } = args.request as { headers: { traceparent?: string } }
      headers.traceparent = traceparent
      return next(args)
    },
    { step: 'finalizeRequest' },
  )
  try {
    return await work(kms)
  } finally {
    kms.destroy()
  }
}

const spansOf = (traceId: string) => collector.spans.filter(span => span.traceId === traceId)

/** The span of the request once it has come, and that of one of its commands. The first of a key verifies records, too. */
async function collected(traceId: string, command?: string): Promise<{ service: CollectedSpan; host: CollectedSpan }> {
  const service = () => spansOf(traceId).find(span => span.service === 'strongroom')
  const host = () => spansOf(traceId).find(span => span.service === 'strongroom-hsm-host' && span.name === command)
  await waitUntil(() => service() !== undefined && (command === undefined || host() !== undefined), PATIENCE_MS)
  return { service: service()!, host: host()! }
}

describe('a request of a caller who traces', () => {
  it('has a span in each world, one below the other', async () => {
    const { $metadata } = await traced(`00-${traceOf(1)}-${CALLER_SPAN}-01`, kms =>
      kms.generateDataKey({ KeyId, KeySpec: 'AES_256', EncryptionContext: { tenant: 'unspeakable' } }),
    )
    const { service, host } = await collected(traceOf(1), 'generateDataKey')
    const { accountId, hsmHostPids } = sandbox.description
    expect(service).toMatchObject({ name: 'GenerateDataKey', parentSpanId: CALLER_SPAN })
    expect(service.attributes).toEqual({
      'rpc.method': 'GenerateDataKey',
      'strongroom.outcome': 'ok',
      'strongroom.request_id': $metadata.requestId,
      'strongroom.region': 'on-prem-1',
      'strongroom.account': accountId,
    })
    expect(host.parentSpanId).toBe(service.spanId)
    expect(host.attributes).toEqual({
      'strongroom.outcome': expect.stringMatching(/^(?:ok|need-record)$/),
      'strongroom.region': 'on-prem-1',
      'strongroom.token': expect.stringMatching(/^on-prem-1-[12]$/),
      'process.pid': expect.any(Number),
    })
    expect(hsmHostPids).toContain(host.attributes['process.pid'])
    expect(host.endNs).toBeGreaterThan(host.startNs)
    expect(service.endNs - service.startNs).toBeGreaterThan(host.endNs - host.startNs)
  })

  it('that is refused has its span, with the code of the error', async () => {
    const refused = traced(`00-${traceOf(2)}-${CALLER_SPAN}-01`, kms => kms.describeKey({ KeyId: 'alias/absent' }))
    await expect(refused).rejects.toMatchObject({ name: 'NotFoundException' })
    const { service } = await collected(traceOf(2))
    expect(service).toMatchObject({ name: 'DescribeKey', attributes: { 'strongroom.outcome': 'NotFoundException' } })
    expect(service.status).not.toBe(2)
  })

  it('whose ciphertext was altered has a fault in the host, which is no error of ours', async () => {
    const { CiphertextBlob } = await sandbox.client().encrypt({ KeyId, Plaintext: Buffer.from('x') })
    const altered = Buffer.from(CiphertextBlob!)
    altered[altered.length - 1]! ^= 1
    const refused = traced(`00-${traceOf(6)}-${CALLER_SPAN}-01`, kms => kms.decrypt({ CiphertextBlob: altered }))
    await expect(refused).rejects.toMatchObject({ name: 'InvalidCiphertextException' })
    const { service, host } = await collected(traceOf(6), 'decrypt')
    expect(service.attributes).toMatchObject({ 'strongroom.outcome': 'InvalidCiphertextException' })
    expect([host.attributes['strongroom.outcome'], service.status, host.status]).toEqual(['input', 0, 0])
  })

  it('who does not keep it is not kept here either', async () => {
    await traced(`00-${traceOf(3)}-${CALLER_SPAN}-00`, kms => kms.generateDataKey({ KeyId, KeySpec: 'AES_256' }))
    await traced(`00-${traceOf(4)}-${CALLER_SPAN}-01`, kms => kms.generateDataKey({ KeyId, KeySpec: 'AES_256' }))
    await collected(traceOf(4), 'generateDataKey')
    expect(spansOf(traceOf(3))).toEqual([])
  })

  it.each(['', 'x', `00-${'0'.repeat(32)}-${CALLER_SPAN}-01`, `ff-${traceOf(5)}-${CALLER_SPAN}-01`, 'a'.repeat(5_000)])(
    'is served when its traceparent is none: %.40s',
    async traceparent => {
      const { $metadata } = await traced(traceparent, kms => kms.generateRandom({ NumberOfBytes: 8 }))
      const own = () => collector.spans.find(span => span.attributes['strongroom.request_id'] === $metadata.requestId)
      await waitUntil(() => own() !== undefined, PATIENCE_MS)
      expect(own()?.parentSpanId ?? '').toBe('')
    },
  )
})

describe('traces', () => {
  it('hold no key, plaintext, ciphertext, encryption context or access key', async () => {
    const kms = sandbox.client()
    const context = { EncryptionContext: { tenant: 'unspeakable' } }
    const sealed = await kms.encrypt({ KeyId, Plaintext: Buffer.from('a plaintext'), ...context })
    const opened = await kms.decrypt({ CiphertextBlob: sealed.CiphertextBlob!, ...context })
    const last = (id: string | undefined) =>
      collector.spans.some(span => span.attributes['strongroom.request_id'] === id)
    await waitUntil(() => last(sealed.$metadata.requestId) && last(opened.$metadata.requestId), PATIENCE_MS)
    const { accessKeyId, secretAccessKey, callerArn } = sandbox.description
    const blob = Buffer.from(sealed.CiphertextBlob!).toString('base64')
    const bare = Buffer.from('a plaintext').toString('base64')
    for (const secret of ['unspeakable', 'a plaintext', bare, blob, accessKeyId, secretAccessKey, callerArn, KeyId])
      expect(collector.received()).not.toContain(secret)
  })

  it('are dropped, and requests served, while the collector is away', async () => {
    const kms = sandbox.client()
    await collector.close()
    await kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })
    await waitUntil(() => sandbox.log().includes('traces are not taken by the collector'), PATIENCE_MS)
    expect((await kms.generateDataKey({ KeyId, KeySpec: 'AES_256' })).CiphertextBlob).toBeDefined()
  })
})
