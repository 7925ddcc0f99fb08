/** Where a ceremony gets SO PINs from: files named on the command line, or whoever sits at the terminal. */
import { Option } from 'commander'
import type { PinSource } from '../hsm/contract/ceremony.ts'
import { readSecretLine } from './read-secret.ts'

export function officerPinOption(): Option {
  return new Option(
    '--so-pin-file <[REGION=]FILE...>',
    "file with the SO PIN of the token that a region's domain is carried from: for trial set-ups, nobody is asked to confirm",
  )
}

/** SO PINs by region. */
export interface OfficerPins {
  /** Asked for, once for each region, when no file is named. */
  of(region: string): Promise<PinSource>
  /** Whether a person types the PIN, who can then also be asked to compare. */
  attended(region: string): boolean
}

/** From `FILE` (any region) or `REGION=FILE`. */
export function officerPinsFrom(files: readonly string[]): OfficerPins {
  const byRegion = new Map(
    files.map(entry => {
      const at = entry.indexOf('=')
      return at < 0 ? ['', entry] : [entry.slice(0, at), entry.slice(at + 1)]
    }),
  )
  const typed = new Map<string, string>()
  const fileOf = (region: string) => byRegion.get(region) ?? byRegion.get('')
  return {
    attended: region => fileOf(region) === undefined,
    async of(region) {
      const file = fileOf(region)
      if (file !== undefined) return { file }
      const pin =
        typed.get(region) ?? (await readSecretLine(`SO PIN of the token that holds the domain of ${region}: `))
      typed.set(region, pin)
      return { typed: pin }
    },
  }
}

/** For commands that enrol. */
export function openTokenOption(): Option {
  return new Option(
    '--allow-open-token',
    'enrol a token that cannot enforce a sealed domain; the domain is open from then on',
  )
}
