/**
 * What a token remembers of the key store: a private data object that holds the anchor of the domain's ledger. It stays when
 * the store is put back. A PIN holder can rewrite it; nobody who has the database alone can (security.md 2.6).
 */
import pkcs11 from 'pkcs11js'
import { MalformedBytes } from '../../base/bytes.ts'
import { type Anchor, decodeAnchor, encodeAnchor } from '../../formats/row-ledger.ts'
import { attributes, type Cryptoki, findObjects, type ObjectHandle, type SessionHandle } from './cryptoki.ts'

interface HeldAnchor {
  readonly handle: ObjectHandle
  readonly anchor: Anchor
}

export class Anchors {
  readonly #cryptoki: Cryptoki
  readonly #label: string

  /** `domainId` is part of the object's label: a token may have held other domains. */
  constructor(cryptoki: Cryptoki, domainId: Buffer) {
    this.#cryptoki = cryptoki
    this.#label = `strongroom/anchor/${domainId.toString('hex')}`
  }

  /** The latest, where a crash has left two. */
  read(session: SessionHandle): Anchor | undefined {
    return this.#held(session).at(-1)?.anchor
  }

  /** False when the token remembers a later epoch. The new object is there before the old one goes. */
  write(session: SessionHandle, anchor: Anchor): boolean {
    const held = this.#held(session)
    const latest = held.at(-1)?.anchor
    if (latest !== undefined && latest.epoch > anchor.epoch) return false
    if (latest?.epoch !== anchor.epoch || !latest.digest.equals(anchor.digest)) {
      const object = {
        CLASS: pkcs11.CKO_DATA,
        TOKEN: true,
        PRIVATE: true,
        APPLICATION: 'strongroom',
        LABEL: this.#label,
      }
      this.#cryptoki.C_CreateObject(session, attributes({ ...object, VALUE: encodeAnchor(anchor) }))
      for (const { handle } of held) this.#cryptoki.C_DestroyObject(session, handle)
    }
    return true
  }

  /** Returns how many objects there were. */
  forget(session: SessionHandle): number {
    const held = this.#held(session)
    for (const { handle } of held) this.#cryptoki.C_DestroyObject(session, handle)
    return held.length
  }

  /** In the order of their epochs. What is not an anchor was made by somebody else. */
  #held(session: SessionHandle): HeldAnchor[] {
    const template = attributes({ CLASS: pkcs11.CKO_DATA, TOKEN: true, LABEL: this.#label })
    return findObjects(this.#cryptoki, session, template)
      .flatMap(handle => {
        const [attribute] = this.#cryptoki.C_GetAttributeValue(session, handle, [{ type: pkcs11.CKA_VALUE }])
        const anchor = anchorIn(Buffer.from(attribute?.value as Buffer))
        return anchor === undefined ? [] : { handle, anchor }
      })
      .sort((a, b) => a.anchor.epoch - b.anchor.epoch)
  }
}

function anchorIn(value: Buffer): Anchor | undefined {
  try {
    return decodeAnchor(value)
  } catch (error) {
    if (error instanceof MalformedBytes) return undefined
    throw error
  }
}
