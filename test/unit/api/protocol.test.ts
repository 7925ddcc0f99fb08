/** AWS JSON 1.1 on the wire. */
import { describe, expect, it } from '@jest/globals'
import { encodeError, encodeOutput, operationOf, parseBody, responseHeaders } from '../../../src/api/protocol.ts'
import { foldHeaders } from '../../../src/api/sigv4/headers.ts'
import { KmsError } from '../../../src/model/errors.ts'

const JSON_1_1 = 'application/x-amz-json-1.1'

function codeOf(act: () => unknown): string {
  try {
    act()
  } catch (error) {
    return (error as KmsError).code
  }
  return 'accepted'
}

const fields = (headers: Readonly<Record<string, string>>) => foldHeaders(Object.entries(headers).flat())

describe('operationOf', () => {
  it.each([
    JSON_1_1,
    'application/x-amz-json-1.1; charset=utf-8',
    'Application/JSON',
    'application/json;charset=UTF-8',
  ])('reads the operation of a body that is %s', type => {
    expect(operationOf(fields({ 'x-amz-target': 'TrentService.GenerateDataKey', 'content-type': type }))).toBe(
      'GenerateDataKey',
    )
  })

  it.each([
    undefined,
    '',
    'TrentService.',
    'TrentService',
    'trentservice.Encrypt',
    'DynamoDB_20120810.GetItem',
    'Encrypt',
  ])('refuses the target %s', target => {
    const headers = { 'content-type': JSON_1_1, ...(target !== undefined && { 'x-amz-target': target }) }
    expect(codeOf(() => operationOf(fields(headers)))).toBe('UnknownOperationException')
  })

  it.each([undefined, '', 'text/plain', 'application/x-amz-json-1.0', 'application/x-www-form-urlencoded'])(
    'refuses the content type %s',
    type => {
      const headers = { 'x-amz-target': 'TrentService.Encrypt', ...(type !== undefined && { 'content-type': type }) }
      expect(codeOf(() => operationOf(fields(headers)))).toBe('UnknownOperationException')
    },
  )
})

describe('parseBody', () => {
  it('reads an object, and nothing as an object without members', () => {
    expect(parseBody(Buffer.from('{"KeyId":"ü","N":1}'))).toEqual({ KeyId: 'ü', N: 1 })
    expect(parseBody(Buffer.alloc(0))).toEqual({})
  })

  it.each(['{', '[]', 'null', '"x"', '1', '{"a":1,}', '\ufeff{}', ' ', '{"Plaintext":"c2VjcmV0"'])(
    'refuses %j',
    text => {
      expect(codeOf(() => parseBody(Buffer.from(text)))).toBe('SerializationException')
    },
  )

  it('refuses bytes that are not UTF-8', () => {
    const body = Buffer.concat([Buffer.from('{"KeyId":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')])
    expect(codeOf(() => parseBody(body))).toBe('SerializationException')
  })

  it('never quotes the body', () => {
    const error = (() => {
      try {
        return parseBody(Buffer.from('{"Plaintext":"c2VjcmV0" "x"}'))
      } catch (thrown) {
        return thrown as KmsError
      }
    })() as KmsError
    expect(error.message).toBe('The request body is not a JSON object.')
    expect(error.cause).toBeUndefined()
  })
})

describe('encodeOutput', () => {
  it('writes bytes as base64, a Map as an object, and leaves out what is undefined', () => {
    const output = {
      KeyId: 'arn',
      CiphertextBlob: Buffer.from([0xfb, 0xff, 0x00]),
      Digest: new Uint8Array([1, 2, 3, 4]).subarray(1, 3),
      NextMarker: undefined,
      CreationDate: 1_700_000_000.123,
      Enabled: false,
      Keys: [{ KeyId: 'a', Blob: Buffer.from('x') }],
      Context: new Map([
        ['__proto__', 'x'],
        ['k', 'v'],
      ]),
    }
    expect(encodeOutput(output)).toBe(
      '{"KeyId":"arn","CiphertextBlob":"+/8A","Digest":"AgM=","CreationDate":1700000000.123,"Enabled":false,' +
        '"Keys":[{"KeyId":"a","Blob":"eA=="}],"Context":{"__proto__":"x","k":"v"}}',
    )
  })

  it('answers an object when there is no output', () => {
    expect(encodeOutput(undefined)).toBe('{}')
  })
})

describe('encodeError', () => {
  it.each([
    [new KmsError('NotFoundException', "Key 'x' does not exist"), 400, { message: "Key 'x' does not exist" }],
    [new KmsError('AccessDeniedException', 'User: a is not authorized'), 400, { Message: 'User: a is not authorized' }],
    [new KmsError('InvalidCiphertextException', 'not sent', { detail: 'tag' }), 400, {}],
    [new KmsError('UnknownOperationException'), 400, {}],
    [
      new KmsError('KMSInternalException', 'Failed.', { detail: 'secret', cause: new Error('secret') }),
      500,
      { message: 'Failed.' },
    ],
    [new KmsError('DependencyTimeoutException', 'Late.'), 503, { message: 'Late.' }],
  ])('encodes %s', (error, status, rest) => {
    expect(error.status).toBe(status)
    expect(JSON.parse(encodeError(error))).toEqual({ __type: error.code, ...rest })
  })
})

describe('responseHeaders', () => {
  it('is a flat list for writeHead', () => {
    expect(responseHeaders('id', 2)).toEqual([
      'Content-Type',
      JSON_1_1,
      'x-amzn-RequestId',
      'id',
      'Content-Length',
      '2',
    ])
    expect(responseHeaders('id', 2, 'TagException').slice(-2)).toEqual(['x-amzn-ErrorType', 'TagException'])
  })
})
