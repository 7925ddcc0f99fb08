/** A signer of stored records that needs no HSM. */
import { createHmac } from 'node:crypto'
import { rowMacInput } from '../../src/formats/row-mac.ts'
import type { MacedRow, RowMac, RowSigner } from '../../src/store/row-signer.ts'
import { REGION } from './tokens.ts'

/** Knows one version at a time, and counts what it is asked. */
export class TestSigner implements RowSigner {
  version = 1
  asked = 0
  fails = false

  async sign(rows: readonly MacedRow[]): Promise<RowMac[]> {
    this.asked += 1
    if (this.fails) throw new Error('no HSM can serve the request')
    return rows.map(row => ({ region: REGION, macVersion: this.version, mac: this.#mac(row, this.version) }))
  }

  async verify(rows: readonly (MacedRow & RowMac)[]): Promise<boolean[]> {
    this.asked += 1
    return rows.map(row => this.#mac(row, row.macVersion).equals(row.mac))
  }

  #mac(row: MacedRow, macVersion: number): Buffer {
    const input = rowMacInput({ ...row, macVersion, domainId: Buffer.alloc(16) })
    return createHmac('sha256', `key ${macVersion}`).update(input).digest()
  }
}
