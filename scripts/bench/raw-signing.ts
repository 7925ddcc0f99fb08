/**
 * The PKCS#11 calls of signatures, MACs and data key pairs, as an HSM host makes them (src/hsm/host/commands/). Digests are
 * made beforehand, as they come to a host.
 *
 * | operation           | calls                                                                                     |
 * |---------------------|-------------------------------------------------------------------------------------------|
 * | Sign, GenerateMac   | C_SignInit, C_Sign                                                                          |
 * | Verify              | C_VerifyInit, C_Verify; the daemon verifies outside the token                               |
 * | GenerateDataKeyPair | C_GenerateKeyPair, C_GetAttributeValue twice, C_DestroyObject twice, then those of Encrypt |
 */
import { generateKeyPairSync, randomBytes } from 'node:crypto'
import pkcs11 from 'pkcs11js'
import { TAG_BYTES } from '../../src/formats/ciphertext.ts'
import { attributes } from '../../src/hsm/host/cryptoki.ts'
import { generatePair, type PairKind, pairKindOf, readAttribute } from '../../src/hsm/host/key-pairs.ts'
import { GENERIC_SECRET_GENERATION, HMAC_SHA_256 } from '../../src/hsm/host/mechanisms.ts'
import { signatureRecipe } from '../../src/hsm/host/signatures.ts'
import { factsOf, MESSAGE_BYTES, type Operation, VARIANTS } from './operations.ts'
import type { RawSealing } from './raw-sealing.ts'
import type { BenchToken } from './tokens.ts'

type Step = () => void

const OUTPUT_BYTES = 512

/** Digests, or messages of their length. */
const messages = Array.from({ length: VARIANTS }, () => randomBytes(MESSAGE_BYTES))

export function signingSteps({ cryptoki, session }: BenchToken, operation: Operation): { sign: Step; verify: Step } {
  const { key, members } = factsOf(operation)
  const kind = pairKindOf(key.KeySpec, 'SIGN_VERIFY')!
  const { publicKey, privateKey } = generatePair(cryptoki, session, kind)
  const recipe = signatureRecipe(kind, members.SigningAlgorithm!, messages[0]!)
  const inputs = messages.map(recipe.input)
  const output = Buffer.alloc(OUTPUT_BYTES)
  const sign = (input: Buffer) => {
    cryptoki.C_SignInit(session, recipe.mechanism, privateKey)
    return cryptoki.C_Sign(session, input, output)
  }
  const signed = inputs.map(input => ({ input, signature: Buffer.from(sign(input)) }))
  let turn = 0
  return {
    sign() {
      sign(inputs[turn++ % VARIANTS]!)
    },
    verify() {
      const { input, signature } = signed[turn++ % VARIANTS]!
      cryptoki.C_VerifyInit(session, recipe.mechanism, publicKey)
      cryptoki.C_Verify(session, input, signature)
    },
  }
}

export function macStep({ cryptoki, session }: BenchToken): Step {
  const secret = { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_GENERIC_SECRET, VALUE_LEN: 32, TOKEN: false }
  const key = cryptoki.C_GenerateKey(
    session,
    GENERIC_SECRET_GENERATION,
    attributes({ ...secret, PRIVATE: true, SENSITIVE: true, EXTRACTABLE: false, SIGN: true }),
  )
  const output = Buffer.alloc(OUTPUT_BYTES)
  let turn = 0
  return () => {
    cryptoki.C_SignInit(session, HMAC_SHA_256, key)
    cryptoki.C_Sign(session, messages[turn++ % VARIANTS]!, output)
  }
}

export function pairStep({ cryptoki, session }: BenchToken, sealing: RawSealing): Step {
  const kind: PairKind = pairKindOf('ECC_NIST_P256', 'SIGN_VERIFY')!
  const pkcs8 = generateKeyPairSync('ec', { namedCurve: 'prime256v1' }).privateKey.export({
    type: 'pkcs8',
    format: 'der',
  })
  const output = Buffer.alloc(pkcs8.length + TAG_BYTES)
  return () => {
    const { publicKey, privateKey } = generatePair(cryptoki, session, kind, { sensitive: false })
    readAttribute(cryptoki, session, publicKey, pkcs11.CKA_EC_POINT)
    readAttribute(cryptoki, session, privateKey, pkcs11.CKA_VALUE)
    cryptoki.C_DestroyObject(session, privateKey)
    cryptoki.C_DestroyObject(session, publicKey)
    sealing.sealDrawn(pkcs8, output)
  }
}
