/**
 * HBKs that live in the token as objects of their own, for tokens that cannot wrap keys, or not keys of a kind. The host
 * makes and finds them by CKA_ID, and destroys only what a verified record names: it never tidies up, because an object that
 * no record names may belong to a newer database than the one at hand (security.md 4.2).
 */
import pkcs11 from 'pkcs11js'
import { equalConstantTime } from '../../base/bytes.ts'
import type { EktFields } from '../../formats/ekt.ts'
import { CKA_ID_BYTES, isResidentCkaIdOf } from '../../formats/resident-key.ts'
import { HsmFault } from '../contract/fault.ts'
import { ckrCode } from './ckr.ts'
import {
  type Attributes,
  attributes,
  type Cryptoki,
  findObjects,
  type ObjectHandle,
  type SessionHandle,
} from './cryptoki.ts'
import type { ResidentForm } from './resident-forms.ts'
import type { Token } from './token.ts'

const CKR_DEVICE_MEMORY = 0x31

/** The token has no room for another object. */
export class TokenFull extends Error {
  override readonly name = 'TokenFull'
}

/** The fields of a record of kind 1. */
export type ResidentFields = EktFields & { readonly body: { readonly kind: 'resident' } }

export function isResident(fields: EktFields): fields is ResidentFields {
  return fields.body.kind === 'resident'
}

export class ResidentKeys {
  readonly #cryptoki: Cryptoki
  readonly #serial: string
  readonly #label: string

  /** `domainId` is part of each object's label, so that two domains in one token are told apart. */
  constructor({ cryptoki, serial }: Pick<Token, 'cryptoki' | 'serial'>, domainId: Buffer) {
    this.#cryptoki = cryptoki
    this.#serial = serial
    this.#label = `strongroom/hbk/${domainId.toString('hex')}`
  }

  /**
   * Has `generate` make an HBK as a token object with the attributes that it is given last, and names the object for its
   * record. Throws HsmFault `key` when the CKA_ID is taken or not the key's, and {@link TokenFull}.
   */
  create<M extends { readonly handle: ObjectHandle; readonly mid: Buffer }>(
    session: SessionHandle,
    { kid, ckaId }: { readonly kid: Buffer; readonly ckaId: Buffer },
    form: ResidentForm,
    generate: (last: Attributes) => M,
  ): { made: M; body: EktFields['body'] } {
    if (!isResidentCkaIdOf(ckaId, kid)) throw new HsmFault('key', "the CKA_ID is not the key's")
    // Never another object under a CKA_ID that is in use, and never that object itself: its HBK is another record's.
    if (this.#objectsUnder(session, form, ckaId).length > 0)
      throw new HsmFault('key', 'the CKA_ID is taken in this token')
    const made = this.#generate(ckaId, generate)
    try {
      const commitment = form.commit(session, made.handle, { kid, mid: made.mid })
      return { made, body: { kind: 'resident', ckaId, serials: [this.#serial], commitment } }
    } catch (error) {
      this.#forgetNew(session, made.handle)
      throw error
    }
  }

  /** The one object that a verified record names. Throws HsmFault `key` for none, for several, and for another HBK. */
  find(session: SessionHandle, fields: ResidentFields, form: ResidentForm): ObjectHandle {
    const { ckaId, commitment } = this.#held(fields)
    const [handle, ...others] = this.#objectsUnder(session, form, ckaId)
    if (handle === undefined) throw new HsmFault('key', 'the token has lost the object of the HBK')
    if (others.length > 0) throw new HsmFault('key', `the token holds ${others.length + 1} objects under one CKA_ID`)
    if (!equalConstantTime(form.commit(session, handle, fields), commitment))
      throw new HsmFault('key', 'the object under the CKA_ID is another HBK')
    return handle
  }

  /** Destroys the HBK that a verified record names; of several objects under its CKA_ID, that one. It may be gone already. */
  destroy(session: SessionHandle, fields: ResidentFields, form: ResidentForm): void {
    const { ckaId, commitment } = this.#held(fields)
    const isMeant = (handle: ObjectHandle) => equalConstantTime(form.commit(session, handle, fields), commitment)
    for (const handle of this.#objectsUnder(session, form, ckaId).filter(isMeant)) {
      this.#cryptoki.C_DestroyObject(session, handle)
    }
    if (this.#objectsUnder(session, form, ckaId).some(isMeant))
      throw new HsmFault('token', 'the token still holds an object that it was told to destroy')
  }

  /** CKA_IDs of this domain's resident HBKs, whether a record names them or not. */
  list(session: SessionHandle): Buffer[] {
    const objects = [pkcs11.CKO_SECRET_KEY, pkcs11.CKO_PRIVATE_KEY].flatMap(objectClass =>
      findObjects(this.#cryptoki, session, attributes({ CLASS: objectClass, TOKEN: true, LABEL: this.#label })),
    )
    const ids = objects.map(handle => {
      const [attribute] = this.#cryptoki.C_GetAttributeValue(session, handle, [{ type: pkcs11.CKA_ID }])
      return Buffer.from(attribute?.value as Buffer)
    })
    // Whatever else has the label was not made here.
    return ids.filter(({ length }) => length === CKA_ID_BYTES)
  }

  #held({ body }: ResidentFields): ResidentFields['body'] {
    if (!body.serials.includes(this.#serial)) throw new HsmFault('key', 'the HBK resides in another token')
    return body
  }

  #generate<M>(ckaId: Buffer, generate: (last: Attributes) => M): M {
    try {
      return generate(attributes({ LABEL: this.#label, ID: ckaId, MODIFIABLE: false }))
    } catch (error) {
      if (ckrCode(error) === CKR_DEVICE_MEMORY) throw new TokenFull('the token has no room', { cause: error })
      throw error
    }
  }

  /** The one object that is known to be nobody's: the command has just made it, and fails. */
  #forgetNew(session: SessionHandle, handle: ObjectHandle): void {
    try {
      this.#cryptoki.C_DestroyObject(session, handle)
    } catch {
      // It stays, and will be reported as one that no record names.
    }
  }

  #objectsUnder(session: SessionHandle, { objectClass }: ResidentForm, ckaId: Buffer): ObjectHandle[] {
    return findObjects(this.#cryptoki, session, attributes({ CLASS: objectClass, TOKEN: true, ID: ckaId }))
  }
}
