/** PKCS#11 URIs (RFC 7512): where a module and a token are, and where the PIN is read from. Only what names a token is taken. */

export interface Pkcs11Uri {
  readonly token: string | undefined
  readonly serial: string | undefined
  readonly manufacturer: string | undefined
  readonly model: string | undefined
  readonly slotId: number | undefined
  readonly modulePath: string
  /** The path of the file that holds the PIN, on its first line. */
  readonly pinFile: string
}

const PATH_ATTRIBUTES = ['token', 'serial', 'manufacturer', 'model', 'slot-id'] as const
const QUERY_ATTRIBUTES = ['module-path', 'pin-source'] as const

/**
 * Reads a URI. Throws Error that says what is wrong: `pin-value` is refused, because a PIN in a configuration ends up in
 * backups and process lists.
 */
export function parsePkcs11Uri(uri: string): Pkcs11Uri {
  if (!uri.startsWith('pkcs11:')) throw new Error('must begin with "pkcs11:" (RFC 7512)')
  const rest = uri.slice('pkcs11:'.length)
  const at = rest.indexOf('?')
  const [path, query] = at < 0 ? [rest, ''] : [rest.slice(0, at), rest.slice(at + 1)]
  const attributes = readAttributes(path, ';', PATH_ATTRIBUTES)
  const options = readAttributes(query, '&', QUERY_ATTRIBUTES)
  const modulePath = options['module-path']
  if (!modulePath?.startsWith('/')) throw new Error('needs "module-path", an absolute path')
  const slotId = attributes['slot-id']
  if (slotId !== undefined && !/^\d{1,9}$/.test(slotId)) throw new Error('"slot-id" must be a number')
  const { token, serial, manufacturer, model } = attributes
  if (token === undefined && serial === undefined && slotId === undefined) {
    throw new Error('must name the token by "token", "serial" or "slot-id"')
  }
  return {
    token,
    serial,
    manufacturer,
    model,
    slotId: slotId === undefined ? undefined : Number(slotId),
    modulePath,
    pinFile: pinFileOf(options['pin-source']),
  }
}

function pinFileOf(source: string | undefined): string {
  if (source === undefined) throw new Error('needs "pin-source", the file that holds the PIN')
  const path = source.startsWith('file:')
    ? source.slice('file:'.length).replace(/^\/\/(?:localhost)?(?=\/)/, '')
    : source
  if (!path.startsWith('/')) throw new Error('"pin-source" must be an absolute path or a file: URI')
  return path
}

function readAttributes<T extends string>(
  text: string,
  separator: string,
  known: readonly T[],
): Partial<Record<T, string>> {
  const attributes: Partial<Record<T, string>> = {}
  for (const part of text.split(separator).filter(Boolean)) {
    const at = part.indexOf('=')
    const name = part.slice(0, at) as T
    if (name === 'pin-value') throw new Error('must not hold a PIN: use "pin-source"')
    if (at < 0 || !known.includes(name)) throw new Error(`has an unknown attribute "${at < 0 ? part : name}"`)
    if (attributes[name] !== undefined) throw new Error(`has "${name}" twice`)
    attributes[name] = decode(name, part.slice(at + 1))
  }
  return attributes
}

function decode(name: string, text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new Error(`has a malformed percent sequence in "${name}"`)
  }
}
