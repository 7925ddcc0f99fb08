/**
 * Request headers as the signature sees them. They are folded once from the wire and read from here ever after, so that
 * what was signed and what is acted upon cannot be two readings of the same request.
 */

/** Names in lower case; the values of a repeated header joined by `,` in the order of the wire (SigV4's rule). */
export type HeaderFields = ReadonlyMap<string, string>

/** `rawHeaders` as Node gives them: name, value, name, value; each character is one byte of the wire (latin1). */
export function foldHeaders(rawHeaders: readonly string[]): HeaderFields {
  const fields = new Map<string, string>()
  for (let i = 0; i < rawHeaders.length; i += 2) fields.set(rawHeaders[i]!.toLowerCase(), rawHeaders[i + 1]!)
  // Repeated headers are rare, and looking for them costs as much as all the rest.
  return fields.size * 2 === rawHeaders.length ? fields : joinRepeated(rawHeaders)
}

function joinRepeated(rawHeaders: readonly string[]): HeaderFields {
  const fields = new Map<string, string>()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const before = fields.get(name)
    fields.set(name, before === undefined ? rawHeaders[i + 1]! : `${before},${rawHeaders[i + 1]}`)
  }
  return fields
}
