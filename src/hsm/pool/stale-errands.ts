/**
 * Commands whose host was not told of the key version that they need. The domain's row is read again, once for all that come
 * meanwhile; what it says has the hosts replaced, and the commands are done by a host that knows.
 */
import { HsmFault } from '../contract/fault.ts'
import type { Errand } from './errand.ts'
import type { Member } from './member.ts'

/** The domain's row is not read more often than this for commands that meet a stale host. */
const READ_AGAIN_MS = 500
const STRANGERS_MAX = 2

interface Parked {
  readonly member: Member
  readonly errand: Errand
  readonly fault: HsmFault
}

export interface StaleErrandsParts {
  /** Reads the domain's row; what is new in it leads to {@link StaleErrands.described}. Never rejects. */
  readDomain(): Promise<void>
  dispatch(errand: Errand): void
  /** This token did not serve the command. */
  lost(member: Member, errand: Errand, fault: HsmFault): void
}

export class StaleErrands {
  readonly #parts: StaleErrandsParts
  #parked: Parked[] = []
  #generation = 0
  #readAtMs = Number.NEGATIVE_INFINITY

  constructor(parts: StaleErrandsParts) {
    this.#parts = parts
  }

  /** The number of the newest description of the domains. */
  get generation(): number {
    return this.#generation
  }

  /** There is another description, which `tell` gives to the tokens: what was kept goes to a host that knows it. */
  described(tell: (generation: number) => void): void {
    this.#generation += 1
    tell(this.#generation)
    for (const { errand } of this.#parked.splice(0)) this.#dispatch(errand)
  }

  /** Keeps a command until the domain's row has been read again. */
  park(member: Member, errand: Errand, fault: HsmFault): void {
    if (errand.generation < this.#generation) {
      this.#dispatch(errand)
      return
    }
    this.#parked.push({ member, errand, fault })
    if (this.#parked.length > 1) return
    void this.readAgain().then(() => {
      for (const each of this.#parked.splice(0)) this.#refuseStranger(each)
    })
  }

  /** Reads the domain's row, if that was not done just now. */
  async readAgain(): Promise<void> {
    if (performance.now() - this.#readAtMs < READ_AGAIN_MS) return
    this.#readAtMs = performance.now()
    await this.#parts.readDomain()
  }

  #dispatch(errand: Errand): void {
    errand.generation = this.#generation
    this.#parts.dispatch(errand)
  }

  /**
   * The domain's row says nothing new. Either this token has lost the domain's keys, which its known-answer command will
   * tell, and another serves the command; or they all know nothing of such a version, and the EKT is wrong.
   */
  #refuseStranger({ member, errand, fault }: Parked): void {
    member.suspect()
    errand.strangers += 1
    if (errand.strangers < STRANGERS_MAX) this.#parts.lost(member, errand, fault)
    else errand.reject(new HsmFault('key', 'the EKT names a version of the domain keys that is not in use'))
  }
}
