/**
 * Child process: the service that a first tutorial on PKCS#11 would build. Express and graphene-pk11 in one process; each
 * request opens a session, logs in, finds its key by label, does its work, and closes the session. No caller is
 * authenticated, nothing is authorised, recorded or derived: it does less than the daemon for each request.
 */
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import express, { type Request, type Response } from 'express'
import graphene, { type SecretKey, type Session } from 'graphene-pk11'
import pkcs11 from 'pkcs11js'
import { attributes } from '../../src/hsm/host/cryptoki.ts'
import { AES_KEY_GENERATION } from '../../src/hsm/host/mechanisms.ts'
import { answer } from './child.ts'
import { createToken, removeOwnToken } from './tokens.ts'

const TOKEN_LABEL = 'bench naive'
const KEY_LABEL = 'naive-key'
const IV_BYTES = 12
const TAG_BITS = 128
const DATA_KEY_BYTES = 32
/** Not empty: SoftHSM is reported to crash on some builds without additional data. */
const AAD = Buffer.from('naive')

const { modulePath, pin } = makeTokenWithKey()
const module = graphene.Module.load(modulePath)
module.initialize()
const slot = findSlot()

/** The key is made by another instance of the library, as an administrator's tool would. */
function makeTokenWithKey(): { modulePath: string; pin: string } {
  const { cryptoki, session, ...token } = createToken(TOKEN_LABEL)
  const rights = { ENCRYPT: true, DECRYPT: true, SENSITIVE: true, EXTRACTABLE: false }
  const key = { CLASS: pkcs11.CKO_SECRET_KEY, KEY_TYPE: pkcs11.CKK_AES, VALUE_LEN: 32, LABEL: KEY_LABEL }
  cryptoki.C_GenerateKey(session, AES_KEY_GENERATION, attributes({ ...key, TOKEN: true, PRIVATE: true, ...rights }))
  cryptoki.C_Finalize()
  return token
}

function findSlot(): graphene.Slot {
  const slots = module.getSlots(true)
  for (let index = 0; index < slots.length; index++) {
    if (slots.items(index).getToken().label.trim() === TOKEN_LABEL) return slots.items(index)
  }
  throw new Error('the token is not there')
}

function withSession<T>(use: (session: Session) => T): T {
  const session = slot.open(graphene.SessionFlag.SERIAL_SESSION | graphene.SessionFlag.RW_SESSION)
  try {
    session.login(pin)
    return use(session)
  } finally {
    session.close()
  }
}

function findKey(session: Session): SecretKey {
  const found = session.find({ class: graphene.ObjectClass.SECRET_KEY, label: KEY_LABEL })
  return found.items(0).toType<SecretKey>()
}

const aesGcm = (iv: Buffer) => ({ name: 'AES_GCM', params: new graphene.AesGcm240Params(iv, AAD, TAG_BITS) })

function seal(session: Session, plaintext: Buffer): string {
  const iv = session.generateRandom(IV_BYTES)
  const room = Buffer.alloc(plaintext.length + TAG_BITS / 8)
  const sealed = session.createCipher(aesGcm(iv), findKey(session)).once(plaintext, room)
  return Buffer.concat([iv, sealed]).toString('base64')
}

function open(session: Session, blob: Buffer): string {
  const sealed = blob.subarray(IV_BYTES)
  const decipher = session.createDecipher(aesGcm(blob.subarray(0, IV_BYTES)), findKey(session))
  return decipher.once(sealed, Buffer.alloc(sealed.length)).toString('base64')
}

const service = express()
service.use(express.json())
service.post('/GenerateDataKey', (_request: Request, response: Response) => {
  const made = withSession(session => {
    const dataKey = session.generateRandom(DATA_KEY_BYTES)
    return { Plaintext: dataKey.toString('base64'), CiphertextBlob: seal(session, dataKey) }
  })
  response.json({ KeyId: KEY_LABEL, ...made })
})
service.post('/Encrypt', (request: Request, response: Response) => {
  const plaintext = Buffer.from(request.body.Plaintext, 'base64')
  response.json({ KeyId: KEY_LABEL, CiphertextBlob: withSession(session => seal(session, plaintext)) })
})
service.post('/Decrypt', (request: Request, response: Response) => {
  const blob = Buffer.from(request.body.CiphertextBlob, 'base64')
  response.json({ KeyId: KEY_LABEL, Plaintext: withSession(session => open(session, blob)) })
})

const listener = service.listen(0, '127.0.0.1')
await once(listener, 'listening')

const answers = {
  port(_: null): number {
    return (listener.address() as AddressInfo).port
  },
}
export type NaiveServiceAnswers = typeof answers

answer(answers, removeOwnToken)
