/**
 * An RSA key of 2048 bits that everybody knows: self-tests put it into a token as a session object, for the seconds they
 * take, since making one there would delay each start of a host. It protects nothing. PKCS #8, DER.
 */
import { createPrivateKey, createPublicKey } from 'node:crypto'

export const KNOWN_RSA_KEY = Buffer.from(
  [
    'MIIEvAIBADANBgkqhkiG9w0BAQEFAASCBKYwggSiAgEAAoIBAQChWE6iOgc8/KYyi6wXkG4NziqqY0VIrdYKqZWLDZQnkkdwANy/',
    'IcCF9v8ilel6TmVfWIkz69q7NyIb+I74HdEePh66H9A7vTVJWzPrsevJedJXTZx9xyzxJzytAY9R91xmBQ9+jeXJafZhS8dzKQRv',
    '1OLZjOimCpbtBs6ORuqlnNzmPJj119OpY4ioLmx4gTIknEwUEUxt4fSgiJmduDrH+q6P+cTJsS0kWnEzdsWoKNu4Jq0gNiNP/edK',
    'fglyR689k9QnRAooitkOWb5juQ2FXYQmILz08BxP4h7avY7VRGtGsYb+8PwUUGGu/fLjSrFeOZU94aWS8hp8BJkLFimvAgMBAAEC',
    'ggEALEl2BBeThwz+fZ9TFIDDhKyTj4OCMAnvV6vm7W1DvnzrePXzoc8c7mi27YJivPyp3LsLpiHWP09J4I2giMB+dyOsAYDcApnT',
    '95e+L7L9uqbisq4OB4RVdLhFcmOcOG6CgUpgT2eZrGiWhWxsidK3cg7oWbjQ30rG1LbqmakjnWN6KZELJQUavuu5ucVpt/42uvBU',
    'Gi/8qYyetTEDOjYlmlbT8AucOxY645+3e82GYLwnXY7MQwIC6xka292PDUMlDkDR2ZU6t0MDy3dzB3hmE+kMCglRP2fJryb+e/Vv',
    'FxRG/PmiCvO307puhmTtjTcTbhR44I4VTn5XqA5WZtdY8QKBgQDgnkWpROYSg72M+Sq9dYncAo1O+VPAd5taskIqOB3f0PZd0WgX',
    'YXF/Dk8dKpwsTcvDTIRZEdumKQSZjoQZLIXZ47no+91Oxzg98kNz01aoG1/Phkqupie9FOfoWGp3ZzuSSfV3It8ejmzwTuRif5Vc',
    'Ay2X4AiD0NVroZoYNCfRyQKBgQC34v5Il0EGJwWl/gIce/j9vh0tJASIXkHQ6FD9D/+nVdh3TDrkrzY3gH9EGlCrny1Di1Lzaqph',
    '3rkfcQfFrpCpOr6FzAZI5lB/uPq/VHAJKjEqUBhh1TxlOPJrZ/Syd+fUtuFjr4fJLkAyRyktFYdqUMmo9m7B+dhmo8w/uwcbtwKB',
    'gGD9luD3ok0+W7wi34S921CIPZJrcPG78/Ze4NkwMB40Mh3izYrDBeoyOJFEk/lBgooLYV7AqlL+hUD1XC8unYGvpthm4XIh7jQ5',
    'h0zdZh7i6yVGPLtbfe9UtqsKeraiegO6MedGxIeCQqIlvtKVet4ndSmOkL6yj2WRe2OWKdeZAoGATo1tSt0yLcqlow8rH7fl2Z9J',
    'H2tvdEGvo+paDoCzGWyWl/+8eMxQQM1nkFQdefL5hw0RVmKOfliChGfohg3YRjKOCOHrHWElqin/E5Sid4fKkOS+RaytrB/zjuZN',
    'pZ+LLVciWU82lj5nthKoCFZWDpiMTN1Y2ww74Ty/l8nxc2kCgYAURcysPAHIIvyVltFdCJbDn/px46wPrn22Ik9+I5cSzk6N3Vs2',
    '6BLXpPryG1MAdXtSNWkwn3JyORk3QycfkLcu+O35xqyA48cH00iCfe2swRJHiYikKI38EcImnYLwUdFXEaT/qEnMZcCS2ePBHPxD',
    'OWnySwUM4MnMQ6vFmuN7Hw==',
  ].join(''),
  'base64',
)

export const KNOWN_RSA_PUBLIC_KEY = createPublicKey(
  createPrivateKey({ key: KNOWN_RSA_KEY, format: 'der', type: 'pkcs8' }),
)

/** CKA_MODULUS of the key. */
export const KNOWN_RSA_MODULUS = Buffer.from(KNOWN_RSA_PUBLIC_KEY.export({ format: 'jwk' }).n ?? '', 'base64url')
