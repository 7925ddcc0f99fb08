/**
 * Request headers as the signature sees them. They are folded once from the wire and read from here ever after, so that
 * what was signed and what is acted upon cannot be two readings of the same request.
 */

/**
 * Names in lower case; the values of a repeated header joined by `,` in the order of the wire (SigV4's rule). Without a
 * prototype: what is not on the wire is not there, whatever its name.
 */
export type HeaderFields = Readonly<Record<string, string | undefined>>

/** A class, so that all have one shape: that takes a tenth of a Map's memory, and Object.create(null) has none. */
class Fields {
  [name: string]: string | undefined
}
Object.setPrototypeOf(Fields.prototype, null)
Reflect.deleteProperty(Fields.prototype, 'constructor')

/** `rawHeaders` as Node gives them: name, value, name, value; each character is one byte of the wire (latin1). */
export function foldHeaders(rawHeaders: readonly string[]): HeaderFields {
  const fields = new Fields()
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase()
    const before = fields[name]
    fields[name] = before === undefined ? rawHeaders[i + 1]! : `${before},${rawHeaders[i + 1]}`
  }
  return fields
}
