/** A request as the AWS SDK signs it, caught at its request handler: a signer that nobody here wrote. */
import { DescribeKeyCommand, KMSClient, type KMSClientConfig } from '@aws-sdk/client-kms'
import { describe, expect, it } from '@jest/globals'
import { deriveSigningKey } from '../../../../src/api/sigv4/signature.ts'
import {
  checkScope,
  checkSignature,
  type IncomingRequest,
  readSignedRequest,
} from '../../../../src/api/sigv4/verify.ts'
import { SECRET, SERVED, withHeader } from './requests.ts'

interface SdkRequest {
  readonly method: string
  readonly path: string
  readonly headers: Record<string, string>
  readonly body: Uint8Array
}

async function signedBySdk(sessionToken?: string): Promise<IncomingRequest> {
  let caught: SdkRequest | undefined
  const handle = async (request: SdkRequest) => {
    caught = request
    throw new Error('caught')
  }
  const client = new KMSClient({
    region: 'on-prem-1',
    endpoint: 'https://kms.example:8443',
    maxAttempts: 1,
    credentials: {
      accessKeyId: 'AKIAIOSFODNN7EXAMPLE',
      secretAccessKey: SECRET,
      ...(sessionToken && { sessionToken }),
    },
    requestHandler: { handle } as unknown as NonNullable<KMSClientConfig['requestHandler']>,
  })
  await expect(client.send(new DescribeKeyCommand({ KeyId: 'alias/order-é' }))).rejects.toThrow('caught')
  const { method, path, headers, body } = caught!
  return { method, url: path, rawHeaders: Object.entries(headers).flat(), body: Buffer.concat([body]) }
}

describe('a request signed by the AWS SDK', () => {
  it.each([undefined, 'session-token'])('verifies, with session token %s', async sessionToken => {
    const request = await signedBySdk(sessionToken)
    const signed = readSignedRequest(request)
    expect(signed).toMatchObject({ region: 'on-prem-1', service: 'kms', sessionToken })
    checkScope(signed, SERVED, Date.now())
    const key = deriveSigningKey(SECRET, signed)
    expect(() => checkSignature(signed, key)).not.toThrow()

    const rawHeaders = withHeader(request.rawHeaders, 'x-amz-target', 'TrentService.ScheduleKeyDeletion')
    expect(() => checkSignature(readSignedRequest({ ...request, rawHeaders }), key)).toThrow('does not match')
  })
})
