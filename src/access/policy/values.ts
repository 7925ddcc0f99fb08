/** How condition operators read values: each reader returns undefined for text that is no such value. */
import { BlockList, isIP } from 'node:net'

const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/
const EPOCH_SECONDS = /^\d+(?:\.\d+)?$/
/** The W3C profile of ISO 8601; without a zone, UTC. */
const DATE = /^\d{4}(?:-\d\d(?:-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(Z|[+-]\d\d:\d\d)?)?)?)?$/
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/
const MS_PER_SECOND = 1_000

export function readNumber(text: string): number | undefined {
  return NUMBER.test(text) ? Number(text) : undefined
}

/** Milliseconds since the Unix epoch; digits alone are seconds. */
export function readDate(text: string): number | undefined {
  if (EPOCH_SECONDS.test(text)) return Number(text) * MS_PER_SECOND
  const match = DATE.exec(text)
  if (match === null) return undefined
  const local = text.includes('T') && match[1] === undefined
  const milliseconds = Date.parse(local ? `${text}Z` : text)
  return Number.isNaN(milliseconds) ? undefined : milliseconds
}

export function readBoolean(text: string): boolean | undefined {
  const lower = text.toLowerCase()
  return lower === 'true' ? true : lower === 'false' ? false : undefined
}

/** Bytes as text, so that equal bytes are equal values. */
export function readBinary(text: string): string | undefined {
  return BASE64.test(text) ? Buffer.from(text, 'base64').toString('base64') : undefined
}

/** Whether an address lies in a block. */
export type AddressBlock = (address: string) => boolean

/** A CIDR block; an address without a prefix is a block of one. */
export function readAddressBlock(text: string): AddressBlock | undefined {
  const [, network = '', prefix] = /^([0-9a-fA-F:.]+)(?:\/(\d{1,3}))?$/.exec(text) ?? []
  const version = isIP(network)
  if (version === 0) return undefined
  const bits = version === 4 ? 32 : 128
  const length = prefix === undefined ? bits : Number(prefix)
  if (length > bits) return undefined
  if (length === 0) return address => isIP(address) === version
  const block = new BlockList()
  block.addSubnet(network, length, version === 4 ? 'ipv4' : 'ipv6')
  return address => {
    const found = isIP(address)
    return found === version && block.check(address, found === 4 ? 'ipv4' : 'ipv6')
  }
}
